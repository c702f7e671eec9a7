// Loaded once for the V8 context that all workflows of a worker share, before any of them exists: our modules hold no
// state of their own, so one copy of them serves every workflow.

// The SDK records a stack trace for every promise that workflow code makes, to answer the query `__stack_trace`. Each
// frame is looked up in the source map, which costs more than all of our own code (measured: a third of the CPU of a
// pass). The query `status` says where a workflow is; traces are given up for that.
Error.stackTraceLimit = 0;

export * from './index.ts';
