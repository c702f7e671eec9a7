// The task queues. Waiting has one of its own, with thousands of slots, so that it starves nobody who works; helm has one,
// so that hundreds of releases which wait for their turn keep nobody from fetching, building and applying.

/** Workflows, and the stages that work. */
export const mainTaskQueue = 'continuo';
/** Activities that wait and do nothing else: health, the bridge. */
export const watchTaskQueue = 'continuo-watch';
/** Actions of releases that run the helm binary. */
export const helmTaskQueue = 'continuo-helm';
