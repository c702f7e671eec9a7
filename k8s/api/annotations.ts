// Annotations by which people steer our objects (contract 1.0).

/** Any changed value asks for a reconcile; the status echoes the value that was answered. */
export const requestedAtAnnotation = 'reconcile.fluxcd.io/requestedAt';
/** With the value of a request that is not answered yet: take the full path, memory notwithstanding. */
export const forceAtAnnotation = 'reconcile.fluxcd.io/forceAt';
