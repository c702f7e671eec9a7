// An ArtifactGenerator: parts of its sources become artifacts, report (contract 1.7). One whose sources, spec and artifacts
// are as they were costs one look at the store.
import { CancellationScope } from '@temporalio/workflow';
import type { Observation } from './decisions/decide.ts';
import { backoffMs } from './decisions/timing.ts';
import type { ObjectInput, Pass, ReconcileOutcome } from './reconciled-kind.ts';
import { reconcileLoop } from './reconcile-loop.ts';
import { quick, runStage } from './stages.ts';

export async function artifactGenerator(input: ObjectInput): Promise<void> {
  const reconcile = async (pass: Pass<Observation>): Promise<ReconcileOutcome> => {
    const { ref, observation: o } = pass;
    if (!o.hasFinalizer) await quick.addFinalizer({ ref });
    pass.phase('Generating artifacts');
    const generated = await runStage('generateArtifacts', ref.name, { generator: ref, generation: o.generation });
    return await quick.reportArtifactGenerator({ ...reportOf(pass), generated });
  };

  await reconcileLoop<Observation>(
    {
      observe: (ref, wakes) => quick.observeArtifactGenerator({ ref, wakes }),
      reconcile,
      // The stage finds out by itself that there is nothing to do.
      acknowledge: reconcile,

      async reportFailure(pass, failed) {
        const { isStalled } = await CancellationScope.nonCancellable(() =>
          quick.reportArtifactGeneratorFailure({ ...reportOf(pass), failed }),
        );
        return { isStalled, retryInMs: failed.retryInMs ?? backoffMs(pass.failures) };
      },

      // What was made of superseded sources is replaced by the next reconcile, and found by its label.
      settleSuperseded: async () => undefined,

      finalize: async (ref) => {
        await runStage('removeGeneratedArtifacts', ref.name, ref);
        await quick.removeFinalizer({ ref });
      },
    },
    input,
  );
}

/** What every report says of the pass it ends. */
function reportOf({ ref, observation: o, trigger }: Pass<Observation>) {
  return { ref, generation: o.generation, request: o.requestedAt, trigger };
}
