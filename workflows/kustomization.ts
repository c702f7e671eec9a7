// A Kustomization: fetch the source's artifact, build the manifests, apply them, prune what is gone, wait for health,
// report (contract 2.1). Each stage is one activity; what is provably in place already is not done again. A new revision
// that fails is rolled back where the object asks for it, and held.
import { ApplicationFailure, CancellationScope, isCancellation } from '@temporalio/workflow';
import type { HealthyManifests, KustomizationObservation } from '../activities/observe/observation.ts';
import { obstacleFailure } from './decisions/obstacle.ts';
import type { ReconciledRef } from './messages.ts';
import { reconcileLoop } from './reconcile-loop.ts';
import type { ObjectInput, Pass, ReconciledKind, ReconcileOutcome, StageFailure } from './reconciled-kind.ts';
import { stageFailureOf } from './stage-failure.ts';
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

  /** Enters a phase; what it gives back makes the phase visible in the status (contract 2.1, step 6). */
  const enter = (pass: KustomizationPass, message: string): (() => Promise<void>) => {
    pass.phase(message);
    return () => quick.reportProgress({ ref: pass.ref, message });
  };

  /** Applies manifests, prunes what they have not, and waits for health. */
  const putInPlace = async (pass: KustomizationPass, manifests: HealthyManifests, isRollback = false) => {
    const { ref, observation: o } = pass;
    const { revision, count } = manifests;
    const subject = { kustomization: ref, generation: o.generation };

    const onLongApply = enter(pass, `Detecting drift for revision ${revision}`);
    const toApply = {
      ...subject,
      revision,
      manifestsDigest: manifests.manifestsDigest,
      isForced: o.isForced,
      timeoutMs: o.timeoutMs,
    };
    const applied = isRollback
      ? await runStage('rollbackManifests', `to ${revision}`, toApply)
      : count <= smallSet
        ? await shortStage('applyManifests', toApply, onLongApply)
        : await longStage('applyManifests', toApply, onLongApply);
    owed = { inventoryKey: applied.unprunedKey ?? applied.inventoryKey };

    enter(pass, 'Pruning what is gone from the source');
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

    const onLongWait = enter(pass, `Running health checks for revision ${revision}`);
    const toWaitFor = { ...subject, revision, inventoryKey: applied.inventoryKey, timeoutMs: o.timeoutMs };
    const tellWait = applied.isWaitTold ? async () => {} : onLongWait;
    const health = applied.isHealthy ? undefined : await waitForHealth(toWaitFor, tellWait);
    owed = undefined;
    return { manifestsDigest: manifests.manifestsDigest, applied, pruned, health };
  };

  /** Goes back to healthy manifests, and reports what has failed (if it was no person's word) and what is held. */
  const rollBack = async (
    pass: KustomizationPass,
    target: HealthyManifests,
    failed?: StageFailure,
  ): Promise<ReconcileOutcome> => {
    pass.phase(`Rolling back to revision ${target.revision}`);
    const failedDigest = manifestsDigest;
    const results = await putInPlace(pass, target, true);
    return await quick.reportRollback({ ...reportOf(pass), ...results, target, failed, failedDigest });
  };

  /** After a failure: back to the last healthy manifests, where that is asked for and there are some. */
  const remediate = async (pass: KustomizationPass, error: unknown): Promise<ReconcileOutcome> => {
    if (isCancellation(error) || !pass.observation.isRollbackEnabled || !manifestsDigest) throw error;
    const failed = stageFailureOf(error);
    if (failed.reason !== 'ReconciliationFailed' && failed.reason !== 'HealthCheckFailed') throw error;
    const target = await quick.findRollbackTarget({ kustomization: pass.ref, failedDigest: manifestsDigest });
    if (!target) throw error;
    try {
      return await rollBack(pass, target, failed);
    } catch (rollbackError) {
      if (isCancellation(rollbackError)) throw rollbackError;
      const { reason, message } = stageFailureOf(rollbackError);
      const told = `${failed.message}; the rollback to revision ${target.revision} failed as well (${reason}): ${message}`;
      throw ApplicationFailure.nonRetryable(told, 'RollbackFailed');
    }
  };

  const kind: ReconciledKind<KustomizationObservation> = {
    async observe(ref, wakes) {
      const observation = await quick.observeKustomization({ ref, wakes });
      dependencies = observation.dependencies ?? dependencies;
      return observation;
    },

    waitsFor: (observation) => observation.waitingFor ?? [],
    released: () => dependencies,

    async checkRollback(ref, revision) {
      await quick.findRollbackTarget({ kustomization: ref, revision });
    },

    async reconcile(pass) {
      const { ref, observation: o } = pass;
      owed = undefined;
      manifestsDigest = undefined;
      if (!o.hasFinalizer) await quick.addFinalizer({ ref });
      if (pass.trigger === 'rollback') {
        const asked = pass.wakes.findLast(({ type }) => type === 'rollback')?.subject;
        const target = await quick.findRollbackTarget({ kustomization: ref, revision: asked || undefined });
        if (target) return await rollBack(pass, target);
      }
      if (o.held) return await report(pass, await putInPlace(pass, o.held));
      if (o.obstacle) throw obstacleFailure(o.obstacle);
      if (!o.artifact) throw new Error('observation without obstacle has an artifact');
      const { artifact } = o;
      const { revision } = artifact;
      const subject = { kustomization: ref, generation: o.generation };

      const onLongFetch = enter(pass, `Fetching manifests for revision ${revision}`);
      if (!o.isUnpacked) await shortStage('fetchArtifact', { artifact }, onLongFetch);

      const onLongBuild = enter(pass, `Building manifests for revision ${revision}`);
      const built = o.built ?? (await shortStage('buildManifests', { ...subject, artifact }, onLongBuild));
      manifestsDigest = built.manifestsDigest;

      try {
        return await report(pass, await putInPlace(pass, { ...built, revision }));
      } catch (error) {
        return await remediate(pass, error);
      }
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
    originRevision: o.artifact?.originRevision,
    trigger,
    startedAtMs,
    lostFights,
    ...(o.held ? { isHeld: true } : {}),
  };
}

type StageResults = Omit<Parameters<typeof quick.reportKustomization>[0], keyof ReturnType<typeof reportOf>>;

async function report(pass: KustomizationPass, results: StageResults): Promise<ReconcileOutcome> {
  return await quick.reportKustomization({ ...reportOf(pass), ...results });
}
