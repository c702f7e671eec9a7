// Loaded with `--import` into the threads of a worker process (see tools/platform/components.ts). Temporal's SDK enters
// the workflows' V8 context with a time-out, for which Node starts and joins a thread at every entry: several entries
// for each step of a workflow, half a millisecond each on the machine that `bench/` was measured on, against two
// microseconds without. Our workflows are our own and contain no unbounded computation, so the time-out goes
// (docs/decisions/0007). A worker that is started without this module works the same, only slower.
import vm from 'node:vm';
import { isMainThread } from 'node:worker_threads';

if (!isMainThread) {
  const enter = vm.Script.prototype.runInContext;
  vm.Script.prototype.runInContext = function runInContext(this: vm.Script, context, options) {
    return enter.call(this, context, { ...options, timeout: undefined }) as unknown;
  };
}
