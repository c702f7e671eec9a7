// The two task queues. Waiting has one of its own, with thousands of slots, so that it starves nobody who works.

/** Workflows, and the stages that work. */
export const mainTaskQueue = 'continuo';
/** Activities that wait and do nothing else: health, the bridge. */
export const watchTaskQueue = 'continuo-watch';
