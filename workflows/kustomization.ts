// A Kustomization: fetch the source's artifact, build the manifests, apply them, prune what is gone, wait for health,
// report (contract 2.1). Each stage is one activity; what is provably in place already is not done again.
import { ApplicationFailure, CancellationScope } from '@temporalio/workflow';
import type { KustomizationObservation } from '../activities/observe/observation.ts';
import { obstacleFailure } from './decisions/obstacle.ts';
import {
  type ObjectInput,
  type Pass,
  type ReconciledKind,
  reconcileLoop,
  type ReconcileOutcome,
} from './reconcile-loop.ts';
import type { ReconciledRef } from './messages.ts';
import { longStage, quick, runStage, shortStage, waitForHealth } from './stages.ts';

/** Up to so many objects are applied in place: it takes milliseconds. A larger set is an activity with heartbeats. */
const smallSet = 50;

type KustomizationPass = Pass<KustomizationObservation>;

export async function kustomization(input: ObjectInput): Promise<void> {
  /** Where the inventory is that a reconcile has applied and the status does not say yet. */
  let owed: { inventoryKey: string } | undefined;
  /** What the reconcile under way has built, for the history of one that fails. */
  let manifestsDigest: string | undefined;

  /** What it depended on, once it is being deleted. */
  let dependencies: ReconciledRef[] = [];

  const kind: ReconciledKind<KustomizationObservation> = {
    async observe(ref, wakes) {
      const observation = await quick.observeKustomization({ ref, wakes });
      dependencies = observation.dependencies ?? dependencies;
      return observation;
    },

    waitsFor: (observation) => observation.waitingFor ?? [],
    released: () => dependencies,

    async reconcile(pass) {
      const { ref, observation: o } = pass;
      owed = undefined;
      manifestsDigest = undefined;
      if (!o.hasFinalizer) await quick.addFinalizer({ ref });
      if (o.obstacle) throw obstacleFailure(o.obstacle);
      if (!o.artifact) throw new Error('observation without obstacle has an artifact');
      const { artifact } = o;
      const subject = { kustomization: ref, generation: o.generation };

      /** Enters a phase; what it gives back makes the phase visible in the status (contract 2.1, step 6). */
      const enter = (message: string): (() => Promise<void>) => {
        pass.phase(message);
        return () => quick.reportProgress({ ref, message });
      };

      const onLongFetch = enter(`Fetching manifests for revision ${artifact.revision}`);
      if (!o.isUnpacked) await shortStage('fetchArtifact', { artifact }, onLongFetch);

      const onLongBuild = enter(`Building manifests for revision ${artifact.revision}`);
      const built = o.built ?? (await shortStage('buildManifests', { ...subject, artifact }, onLongBuild));
      manifestsDigest = built.manifestsDigest;

      const onLongApply = enter(`Detecting drift for revision ${artifact.revision}`);
      const toApply = {
        ...subject,
        revision: artifact.revision,
        manifestsDigest: built.manifestsDigest,
        isForced: o.isForced,
        timeoutMs: o.timeoutMs,
      };
      const applied =
        built.count <= smallSet
          ? await shortStage('applyManifests', toApply, onLongApply)
          : await longStage('applyManifests', toApply, onLongApply);
      owed = { inventoryKey: applied.unprunedKey ?? applied.inventoryKey };

      enter('Pruning what is gone from the source');
      const pruned =
        applied.staleCount > 0
          ? await runStage('pruneInventory', `${applied.staleCount} stale`, {
              kustomization: ref,
              inventoryKey: applied.inventoryKey,
              timeoutMs: o.timeoutMs,
            })
          : undefined;

      if (pruned) owed = pruned;
      if (pruned && pruned.errors.length > 0) {
        throw ApplicationFailure.nonRetryable(pruned.errors.join('\n'), 'PruneFailed');
      }

      const onLongWait = enter(`Running health checks for revision ${artifact.revision}`);
      const toWaitFor = {
        ...subject,
        revision: artifact.revision,
        inventoryKey: applied.inventoryKey,
        timeoutMs: o.timeoutMs,
      };
      const health = applied.isHealthy ? undefined : await waitForHealth(toWaitFor, onLongWait);
      owed = undefined;
      return await report(pass, { manifestsDigest: built.manifestsDigest, applied, pruned, health });
    },

    acknowledge: (pass) => report(pass, { manifestsDigest: pass.observation.built?.manifestsDigest }),

    reportFailure: (pass, failed) =>
      CancellationScope.nonCancellable(() =>
        quick.reportKustomizationFailure({
          ...reportOf(pass),
          failed,
          isSourceMissing: pass.observation.obstacle?.reason === 'ArtifactFailed',
          manifestsDigest,
          inventoryKey: owed?.inventoryKey,
        }),
      ),

    async settleSuperseded(pass) {
      if (!owed) return;
      const applied = owed;
      owed = undefined;
      await quick.recordInventory({ ref: pass.ref, inventoryKey: applied.inventoryKey });
    },

    finalize: async (ref) => {
      await runStage('finalizeKustomization', ref.name, { kustomization: ref });
      await quick.removeFinalizer({ ref });
    },
  };
  await reconcileLoop(kind, input);
}

/** What every report says of the pass it ends. */
function reportOf(pass: KustomizationPass) {
  const { ref, observation: o, trigger, startedAtMs, lostFights } = pass;
  return {
    ref,
    generation: o.generation,
    request: o.requestedAt,
    revision: o.artifact?.revision,
    trigger,
    startedAtMs,
    lostFights,
  };
}

type StageResults = Omit<Parameters<typeof quick.reportKustomization>[0], keyof ReturnType<typeof reportOf>>;

async function report(pass: KustomizationPass, results: StageResults): Promise<ReconcileOutcome> {
  return await quick.reportKustomization({ ...reportOf(pass), ...results });
}
