// The thread in which a large index is read; index-reader.ts starts it.
import { parentPort, workerData } from 'node:worker_threads';
import { readIndex } from './chart-index.ts';

/** What the thread answers. */
export type IndexThreadAnswer =
  | { charts: ReadonlyMap<string, string>; sizeBytes: number; json: Uint8Array<ArrayBuffer> }
  | { problem: string };

try {
  const { charts, sizeBytes, json } = readIndex((workerData as { bytes: Uint8Array }).bytes);
  const answer: IndexThreadAnswer = { charts, sizeBytes, json };
  parentPort?.postMessage(answer, [json.buffer]);
} catch (error) {
  const answer: IndexThreadAnswer = { problem: error instanceof Error ? error.message : String(error) };
  parentPort?.postMessage(answer);
}
