// A source: find its revision, check the signatures where the object asks for it, archive it, report (contract 1.0). One
// workflow for every kind that fetches; an unchanged source costs one listing and no status write.
import { CancellationScope } from '@temporalio/workflow';
import type { SourceObservation } from '../activities/observe/observation.ts';
import { obstacleFailure } from './decisions/obstacle.ts';
import { backoffMs } from './decisions/timing.ts';
import { reconcileLoop } from './reconcile-loop.ts';
import type { ObjectInput, Pass } from './reconciled-kind.ts';
import { quick, runStage, shortStage } from './stages.ts';

export async function source(input: ObjectInput): Promise<void> {
  await reconcileLoop<SourceObservation>(
    {
      observe: (ref, wakes) => quick.observeSource({ ref, wakes }),

      async reconcile(pass) {
        const { ref, observation: o } = pass;
        if (!o.hasFinalizer) await quick.addFinalizer({ ref });
        if (o.obstacle) throw obstacleFailure(o.obstacle);
        const subject = { source: ref, generation: o.generation };

        pass.phase(`Listing ${o.url}`);
        const fetched = o.isNear
          ? await shortStage('fetchRevision', subject, untold)
          : await runStage('fetchRevision', o.url, subject);
        if (fetched.isUnchanged) return await quick.reportSource({ ...reportOf(pass), fetched });

        if (fetched.needsVerification) pass.phase(`Verifying ${fetched.revision}`);
        const verified = fetched.needsVerification
          ? await runStage('verifyRevision', fetched.revision, { ...subject, ...fetched })
          : undefined;

        pass.phase(`Archiving ${fetched.revision}`);
        const toArchive = { ...subject, ...fetched };
        const archived = o.isNear
          ? await shortStage('archiveRevision', toArchive, untold)
          : await runStage('archiveRevision', fetched.revision, toArchive);
        return await quick.reportSource({ ...reportOf(pass), fetched, verified, archived });
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

/** The phase says it already. */
async function untold(): Promise<void> {}

/** What every report says of the pass it ends. */
function reportOf(pass: Pass<SourceObservation>) {
  const { ref, observation: o, trigger, startedAtMs } = pass;
  return { ref, generation: o.generation, request: o.requestedAt, trigger, startedAtMs };
}
