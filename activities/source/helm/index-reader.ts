// Reads an index without standing in the way of everything else: a large one in a thread with a limit on its memory.
import { Worker } from 'node:worker_threads';
import { type ReadIndex, readIndex } from './chart-index.ts';
import type { IndexThreadAnswer } from './index-thread.ts';

/** Up to here reading takes some tens of milliseconds, about what a thread takes to start. */
const maxBytesInPlace = 256 * 1024;
/** JavaScript memory of a thread: an index of 50 MiB as Helm writes it takes about half of it, a larger one more. */
const minThreadMemoryMiB = 512;
const memoryPerIndexByte = 10;
/** An index of 50 MiB takes some seconds; one that is made to be slow must not keep the others waiting. */
const maxThreadMs = 120_000;
/** Threads at a time; the others wait. */
const maxThreads = 2;

const waiting: (() => void)[] = [];
let running = 0;

/** As `readIndex`; `bytes` are gone afterwards. Ends at once when the signal is aborted, with its reason. */
export async function readIndexAside(bytes: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<ReadIndex> {
  signal.throwIfAborted();
  if (bytes.byteLength <= maxBytesInPlace) return readIndex(bytes);
  if (running >= maxThreads) await new Promise<void>((resolve) => waiting.push(resolve));
  running++;
  try {
    signal.throwIfAborted();
    return await readInThread(bytes, signal);
  } finally {
    running--;
    waiting.shift()?.();
  }
}

async function readInThread(bytes: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<ReadIndex> {
  const maxThreadMemoryMiB = Math.max(
    minThreadMemoryMiB,
    Math.ceil((bytes.byteLength * memoryPerIndexByte) / 1024 / 1024),
  );
  const thread = new Worker(new URL('./index-thread.ts', import.meta.url), {
    workerData: { bytes },
    transferList: [bytes.buffer],
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: maxThreadMemoryMiB },
    stderr: false,
  });
  const answered = Promise.withResolvers<ReadIndex>();
  const onAbort = (): void => answered.reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  thread.once('message', (answer: IndexThreadAnswer) => {
    if ('problem' in answer) answered.reject(new Error(answer.problem));
    else answered.resolve(answer);
  });
  thread.once('error', (error: Error & { code?: string }) => {
    const isMemory = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
    answered.reject(isMemory ? new Error(`it takes more than ${maxThreadMemoryMiB} MiB of memory to read`) : error);
  });
  const timer = setTimeout(
    () => answered.reject(new Error(`it takes more than ${maxThreadMs / 1000} s to read`)),
    maxThreadMs,
  );
  thread.once('exit', () => answered.reject(new Error('the thread that reads it ended early')));
  try {
    return await answered.promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    void thread.terminate();
  }
}
