// A new artifact wakes the objects that are made from it (decision 0003): first those that it changes, then, a few at a
// time, those that only have to report the new revision, so that these never stand in the way of what changes.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Kustomization } from '../k8s/api/kustomization.ts';
import type { FluxObjects } from '../k8s/flux-objects.ts';
import type { KubeObject } from '../k8s/object.ts';
import type { SourceObject } from '../activities/source/source-driver.ts';
import type { UnpackedArtifacts } from '../activities/artifact/artifact.ts';
import type { ReconciledKindName, ReconciledRef } from '../workflows/messages.ts';
import { consumerKinds, isConsumerOf } from './events-to-wakes.ts';
import type { Log } from './log.ts';
import type { Signaller } from './signaller.ts';

export interface ConsumerWakes {
  /** Wakes the consumers of a source that has a new artifact; a newer artifact takes over from an older one. */
  wake(source: KubeObject): Promise<void>;
  /** Takes note that a consumer has written its status: it may have reported the revision. */
  onReport(consumer: KubeObject): void;
  /** True when nobody is left to be woken. */
  isIdle(): boolean;
}

export interface ConsumerWakesDependencies {
  objects: Pick<FluxObjects, 'list' | 'isServed'>;
  unpacked: Pick<UnpackedArtifacts, 'get'>;
  signaller: Pick<Signaller, 'wake'>;
  /** True when an unpacked artifact is known to build what was built before. */
  isBuilt(object: Kustomization, digest: string): Promise<boolean>;
  log: Pick<Log, 'info'>;
}

/** A new artifact is unpacked before its consumers are woken, if that takes no longer. */
const warmUpMs = 3_000;
/** What a new artifact changes is applied first: so long before the others are woken. */
const headStartMs = 200;
/** So many of those that only report are under way at the same time. */
const reportsAtOnce = 12;
/** One that has not reported by then waits for something; the next one is woken all the same. */
const patienceMs = 1_000;

export function createConsumerWakes(deps: ConsumerWakesDependencies): ConsumerWakes {
  const { objects, signaller, log } = deps;
  /** The newest artifact of each source, by the source's name. */
  const newest = new Map<string, object>();
  /** What to call when a consumer has reported, by its name. */
  const underWay = new Map<string, () => void>();
  let telling = 0;

  const refOf = ({ kind, metadata }: KubeObject): ReconciledRef => ({
    kind: kind as ReconciledKindName,
    namespace: metadata.namespace ?? '',
    name: metadata.name,
  });

  async function warmUp(source: SourceObject): Promise<void> {
    const { artifact } = source.status ?? {};
    if (!artifact) return;
    const warm = deps.unpacked.get(artifact).catch((error: unknown) => {
      log.info({ source: source.metadata.name, error: String(error) }, 'a new artifact cannot be unpacked yet');
    });
    await Promise.race([warm, sleep(warmUpMs, undefined, { ref: false })]);
  }

  async function wakeOneByOne(consumers: KubeObject[], resourceVersion: string | undefined, isOver: () => boolean) {
    const running = new Set<Promise<void>>();
    for (const consumer of consumers) {
      while (running.size >= reportsAtOnce) await Promise.race(running);
      if (isOver()) return;
      const reported = Promise.withResolvers<void>();
      underWay.set(keyOf(consumer), reported.resolve);
      signaller.wake(refOf(consumer), { type: 'artifact', resourceVersion });
      const done = untilReported(reported.promise).finally(() => running.delete(done));
      running.add(done);
    }
  }

  async function untilReported(reported: Promise<void>): Promise<void> {
    await Promise.race([reported, sleep(patienceMs, undefined, { ref: false })]);
  }

  return {
    async wake(source) {
      const turn = {};
      newest.set(keyOf(source), turn);
      const isOver = (): boolean => newest.get(keyOf(source)) !== turn;
      telling++;
      try {
        const { resourceVersion } = source.metadata;
        const consumers = consumerKinds
          .flatMap((kind) => objects.list(kind))
          .filter((one) => objects.isServed(one) && isConsumerOf(one, source));
        const kustomizations = consumers.filter(({ kind }) => kind === 'Kustomization');
        for (const consumer of consumers) {
          if (consumer.kind !== 'Kustomization') signaller.wake(refOf(consumer), { type: 'artifact', resourceVersion });
        }
        if (kustomizations.length === 0) return;
        await warmUp(source as SourceObject);
        const digest = (source as SourceObject).status?.artifact?.digest ?? '';
        const unchanged: KubeObject[] = [];
        let hasChanged = false;
        for (const consumer of kustomizations) {
          if (await deps.isBuilt(consumer as Kustomization, digest)) unchanged.push(consumer);
          else {
            hasChanged = true;
            signaller.wake(refOf(consumer), { type: 'artifact', resourceVersion });
          }
        }
        if (hasChanged && unchanged.length > 0) await sleep(headStartMs);
        await wakeOneByOne(unchanged, resourceVersion, isOver);
      } finally {
        telling--;
        if (!isOver()) newest.delete(keyOf(source));
      }
    },
    onReport(consumer) {
      const key = keyOf(consumer);
      underWay.get(key)?.();
      underWay.delete(key);
    },
    isIdle: () => telling === 0,
  };
}

function keyOf({ kind, metadata }: KubeObject): string {
  return `${kind}/${metadata.namespace}/${metadata.name}`;
}
