// The indexes that charts are looked up in, by the digest of the artifact: in memory, shared, bounded, the ones used
// longest ago go first.
import type { Artifact } from '../../artifact/artifact.ts';
import type { ChartIndex, IndexedChart } from './chart-index.ts';
import { defaultHelmLimits } from './helm-limits.ts';
import { readIndexAside } from './index-reader.ts';

export interface IndexCacheOptions {
  /** The verified bytes of an artifact. */
  readArtifact(
    artifact: Pick<Artifact, 'digest' | 'url' | 'revision'>,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer>>;
  /** @default 64 MiB */
  maxBytes?: number;
  /** Of an index as it is downloaded. @default the limit of Flux */
  maxIndexBytes?: number;
}

export interface IndexCache {
  /** The index in an artifact, read at most once as long as it is kept. */
  get(artifact: Pick<Artifact, 'digest' | 'url' | 'revision'>, signal: AbortSignal): Promise<ChartIndex>;
  /** Keeps an index that was read for another reason. */
  put(digest: string, index: ChartIndex): void;
}

/** As JSON an index is no larger than as YAML, but for escapes. */
const artifactBytesPerIndexByte = 2.5;

export function createIndexCache(options: IndexCacheOptions): IndexCache {
  const { readArtifact, maxBytes = 64 * 1024 * 1024, maxIndexBytes = defaultHelmLimits.indexBytes } = options;
  const maxArtifactBytes = maxIndexBytes * artifactBytesPerIndexByte;
  const indexes = new Map<string, ChartIndex>();
  const underWay = new Map<string, Promise<ChartIndex>>();
  let sizeBytes = 0;

  function put(digest: string, { charts, sizeBytes: size }: ChartIndex): void {
    if (indexes.has(digest) || size > maxBytes) return;
    indexes.set(digest, { charts, sizeBytes: size });
    sizeBytes += size;
    for (const [oldest, old] of indexes) {
      if (sizeBytes <= maxBytes) break;
      indexes.delete(oldest);
      sizeBytes -= old.sizeBytes;
    }
  }

  async function read(artifact: Parameters<IndexCache['get']>[0], signal: AbortSignal): Promise<ChartIndex> {
    const index = await readIndexAside(await readArtifact(artifact, maxArtifactBytes, signal), signal);
    put(artifact.digest, index);
    return index;
  }

  return {
    put,
    async get(artifact, signal) {
      const known = indexes.get(artifact.digest);
      if (known) {
        indexes.delete(artifact.digest);
        indexes.set(artifact.digest, known);
        return known;
      }
      const other = underWay.get(artifact.digest);
      if (other) {
        const shared = await other.catch(() => undefined); // its signal may have ended it: then it is read here
        signal.throwIfAborted();
        if (shared) return shared;
      }
      const reading = read(artifact, signal);
      underWay.set(artifact.digest, reading);
      try {
        return await reading;
      } finally {
        if (underWay.get(artifact.digest) === reading) underWay.delete(artifact.digest);
      }
    },
  };
}

/** The versions of a chart; undefined when the index has no such chart. */
export function versionsOfChart({ charts }: ChartIndex, name: string): IndexedChart[] | undefined {
  const compact = charts.get(name);
  return compact === undefined ? undefined : (JSON.parse(compact) as IndexedChart[]);
}
