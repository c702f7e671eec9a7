// Annotations by which people steer our objects (contract 1.0).

/** Any changed value asks for a reconcile; the status echoes the value that was answered. */
export const requestedAtAnnotation = 'reconcile.fluxcd.io/requestedAt';
/** With the value of a request that is not answered yet: take the full path, memory notwithstanding. */
export const forceAtAnnotation = 'reconcile.fluxcd.io/forceAt';
/** With the value of a request that is not answered yet: a HelmRelease forgets its failures. */
export const resetAtAnnotation = 'reconcile.fluxcd.io/resetAt';
/** `enabled`: a new revision that fails to apply or to become healthy is rolled back and held (not one of Flux's). */
export const rollbackAnnotation = 'continuo.dev/rollback';
/** `disabled` on an ArtifactGenerator: its form of `spec.suspend`. */
export const generatorReconcileAnnotation = 'source.extensions.fluxcd.io/reconcile';
