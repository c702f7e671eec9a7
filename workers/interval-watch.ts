// The interval of what is in order: at every interval of a Ready Kustomization or HelmRelease the bridge asks memory whether everything is
// still as it should be, and wakes the workflow only when it is not, or when memory cannot tell (decision 0012).
import type { HelmRelease } from '../k8s/api/helm-release.ts';
import type { Kustomization } from '../k8s/api/kustomization.ts';
import { parseDuration } from '../k8s/duration.ts';
import { withJitter } from '../workflows/decisions/timing.ts';

/** What applies, and has an interval at which it is looked at. */
export type Applier = Kustomization | HelmRelease;

export interface IntervalWatchDependencies {
  appliers(): Applier[];
  /** True when memory proves that a reconcile would do nothing. */
  isSettled(object: Applier): Promise<boolean>;
  wake(object: Applier): void;
}

const lookEveryMs = 1_000;

/** Starts looking; returns the function that stops it. */
export function watchIntervals(deps: IntervalWatchDependencies): () => void {
  let isStopped = false;
  const due = new Map<string, { interval: string; atMs: number }>();

  const look = async (): Promise<void> => {
    const objects = deps.appliers().filter(isInOrder);
    const uids = new Set(objects.map(uidOf));
    for (const uid of due.keys()) if (!uids.has(uid)) due.delete(uid);
    for (const object of objects) {
      const { interval } = object.spec;
      const intervalMs = parseDuration(interval);
      const known = due.get(uidOf(object));
      if (known?.interval === interval && Date.now() < known.atMs) continue;
      const isFirst = known?.interval !== interval;
      // Spread at first, so that objects which were made together are not looked at together for ever.
      due.set(uidOf(object), {
        interval,
        atMs: Date.now() + (isFirst ? intervalMs * Math.random() : withJitter(intervalMs, Math.random())),
      });
      if (isFirst) continue;
      const isSettled = await deps.isSettled(object).catch(() => false);
      if (isStopped) return;
      if (!isSettled) deps.wake(object);
    }
  };

  let isLooking = false;
  const timer = setInterval(() => {
    if (isLooking) return;
    isLooking = true;
    void look().finally(() => {
      isLooking = false;
    });
  }, lookEveryMs);
  return () => {
    isStopped = true;
    clearInterval(timer);
  };
}

/** What failed, waits or is suspended has its own timer, or none. */
function isInOrder({ metadata, spec, status }: Applier): boolean {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  return ready?.status === 'True' && !spec.suspend && metadata.deletionTimestamp === undefined;
}

function uidOf({ kind, metadata }: Applier): string {
  return metadata.uid ?? `${kind}/${metadata.namespace}/${metadata.name}`;
}
