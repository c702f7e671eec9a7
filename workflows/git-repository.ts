// A GitRepository: list the remote's refs, fetch and verify the selected commit when it moved, archive it, report
// (contract 1.0, 1.1). An unchanged remote costs one listing and no status write.
import { CancellationScope } from '@temporalio/workflow';
import type { SourceObservation } from '../activities/observe/observation.ts';
import { obstacleFailure } from './decisions/obstacle.ts';
import { backoffMs } from './decisions/timing.ts';
import { reconcileLoop } from './reconcile-loop.ts';
import type { ObjectInput, Pass } from './reconciled-kind.ts';
import { quick, runStage } from './stages.ts';

export async function gitRepository(input: ObjectInput): Promise<void> {
  await reconcileLoop<SourceObservation>(
    {
      observe: (ref, wakes) => quick.observeSource({ ref, wakes }),

      async reconcile(pass) {
        const { ref, observation: o } = pass;
        if (!o.hasFinalizer) await quick.addFinalizer({ ref });
        if (o.obstacle) throw obstacleFailure(o.obstacle);

        pass.phase(`Listing ${o.url}`);
        const fetched = await runStage('fetchRevision', o.url, { source: ref, generation: o.generation });
        if (fetched.isUnchanged) return await quick.reportSource({ ...reportOf(pass), fetched });

        pass.phase(`Archiving ${fetched.revision}`);
        const archived = await runStage('archiveRevision', fetched.revision, {
          source: ref,
          generation: o.generation,
          ...fetched,
        });
        return await quick.reportSource({ ...reportOf(pass), fetched, archived });
      },

      acknowledge: (pass) => quick.reportSource(reportOf(pass)),

      async reportFailure(pass, failed) {
        const { isStalled } = await CancellationScope.nonCancellable(() =>
          quick.reportSourceFailure({ ...reportOf(pass), failed }),
        );
        return { isStalled, retryInMs: failed.retryInMs ?? backoffMs(pass.failures) };
      },

      // An artifact that was published for a superseded spec is replaced by the next; retention removes it.
      settleSuperseded: async () => undefined,

      finalize: async (ref) => {
        await runStage('removeArtifacts', ref.name, ref);
        await quick.removeFinalizer({ ref });
      },
    },
    input,
  );
}

/** What every report says of the pass it ends. */
function reportOf(pass: Pass<SourceObservation>) {
  const { ref, observation: o, trigger, startedAtMs } = pass;
  return { ref, generation: o.generation, request: o.requestedAt, trigger, startedAtMs };
}
