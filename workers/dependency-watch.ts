// Dependencies of kinds that have no workflow: each such object is watched by itself, and whoever waits for it is woken
// when it changes. Those with a workflow are told by signal instead.
import { dependencyTargets } from '../activities/observe/dependencies.ts';
import { apiVersionOfKind } from '../k8s/api/index.ts';
import type { KubeClient } from '../k8s/client.ts';
import { isWatchedKind } from '../k8s/flux-objects.ts';
import { type KubeObject, splitApiVersion, subjectOf } from '../k8s/object.ts';
import type { WakeReason } from '../workflows/messages.ts';
import type { Log } from './log.ts';
import type { TargetClusters } from './target-clusters.ts';

export interface DependencyWatch {
  /** Starts telling changes; returns the function that stops it. */
  start(onChange: (waiter: KubeObject, wake: WakeReason) => void): () => void;
  /** Watches what an object depends on, as its account; no longer once it is gone or depends on something else. */
  follow(waiter: KubeObject, isGone?: boolean): Promise<void>;
}

export interface DependencyWatchDependencies {
  client: Pick<KubeClient, 'resourceFor'>;
  atHome: TargetClusters['atHome'];
  log: Pick<Log, 'warn'>;
}

interface Followed {
  /** What is watched, as one text; the same text needs no new watch. */
  targets: string;
  stop: () => void;
}

export function createDependencyWatch({ client, atHome, log }: DependencyWatchDependencies): DependencyWatch {
  const followed = new Map<string, Followed>();
  let tell: (waiter: KubeObject, wake: WakeReason) => void = () => {};

  async function open(waiter: KubeObject): Promise<() => void> {
    const { named, user } = atHome(waiter);
    const stops: (() => void)[] = [];
    for (const target of foreignTargets(waiter)) {
      const { group, version } = splitApiVersion(target.apiVersion ?? apiVersionOfKind(target.kind) ?? '');
      const resource = await client.resourceFor(group, version, target.kind);
      if (!resource) continue; // told by the condition; its CRD may come with another revision
      const { cache, release } = named.acquire(resource, target.namespace, target.name, user);
      const stop = cache.subscribe(({ object }) => {
        const { resourceVersion } = object.metadata;
        tell(waiter, { type: 'dependency', subject: subjectOf(target), resourceVersion });
      });
      stops.push(stop, release);
      cache.sync().catch((error: unknown) => {
        log.warn({ subject: subjectOf(target), error: String(error) }, 'a dependency cannot be watched');
      });
    }
    return () => {
      for (const stop of stops) stop();
    };
  }

  return {
    start(onChange) {
      tell = onChange;
      return () => {
        if (tell !== onChange) return; // the next bridge of this process has started already
        tell = () => {};
        for (const { stop } of followed.values()) stop();
        followed.clear();
      };
    },
    async follow(waiter, isGone = false) {
      const key = `${waiter.kind}/${waiter.metadata.namespace}/${waiter.metadata.name}`;
      const targets = isGone ? '' : JSON.stringify([atHome(waiter).user, foreignTargets(waiter)]);
      const known = followed.get(key);
      if (known?.targets === targets) return;
      known?.stop();
      followed.delete(key);
      if (isGone || foreignTargets(waiter).length === 0) return;
      let isStopped = false;
      let stopWatching = (): void => {};
      followed.set(key, {
        targets,
        stop: () => {
          isStopped = true;
          stopWatching();
        },
      });
      stopWatching = await open(waiter).catch((error: unknown) => {
        log.warn({ waiter: key, error: String(error) }, 'dependencies cannot be watched');
        followed.delete(key);
        return () => {};
      });
      if (isStopped) stopWatching();
    },
  };
}

function foreignTargets(waiter: KubeObject) {
  return dependencyTargets(waiter).filter(({ kind }) => !isWatchedKind(kind));
}
