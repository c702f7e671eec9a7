// The parent of all objects' workflows: keeps the bridge alive and starts the workflow of every object that has none.
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  ChildWorkflowCancellationType,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  log,
  ParentClosePolicy,
  setHandler,
  startChild,
  WorkflowIdReusePolicy,
  workflowInfo,
} from '@temporalio/workflow';
import { ensureSignal, type ReconciledRef, wakeSignal, workflowIdOf, workflowTypes } from './messages.ts';
import type { ObjectInput } from './reconciled-kind.ts';
import { searchAttributes } from './search-attributes.ts';
import { bridge } from './stages.ts';

/** Children of one parent run are counted by Temporal (2,000 pending at most): past this many the parent rolls over. */
const childrenARun = 500;
/** Starts that are under way at the same time. */
const batchSize = 25;

export interface ClusterInput {
  cluster: string;
  /** Refs that the run before had not started yet. */
  pending?: ReconciledRef[];
}

export async function cluster(input: ClusterInput): Promise<void> {
  let pending: ReconciledRef[] = input.pending ?? [];
  let started = 0;
  setHandler(ensureSignal, (refs) => {
    const known = new Set(pending.map(workflowIdOf));
    pending = [...pending, ...refs.filter((ref) => !known.has(workflowIdOf(ref)))];
  });

  // Never returns by itself: it ends when its worker goes, and Temporal starts it on another.
  const watched = bridge.watchCluster({ cluster: input.cluster });
  watched.catch(() => undefined);

  while (started < childrenARun && !workflowInfo().continueAsNewSuggested) {
    await condition(() => pending.length > 0);
    const batch = pending.slice(0, batchSize);
    await Promise.all(batch.map((ref) => startObjectWorkflow(ref, input.cluster)));
    pending = pending.slice(batch.length);
    started += batch.length;
  }
  await continueAsNew<typeof cluster>({ cluster: input.cluster, pending });
}

async function startObjectWorkflow(ref: ReconciledRef, clusterName: string): Promise<void> {
  try {
    await startChild<(input: ObjectInput) => Promise<void>>(workflowTypes[ref.kind], {
      workflowId: workflowIdOf(ref),
      args: [{ ref }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      cancellationType: ChildWorkflowCancellationType.ABANDON,
      workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
      staticSummary: `${ref.kind} ${ref.namespace}/${ref.name}`,
      typedSearchAttributes: [
        { key: searchAttributes.kind, value: ref.kind },
        { key: searchAttributes.namespace, value: ref.namespace },
        { key: searchAttributes.name, value: ref.name },
        { key: searchAttributes.cluster, value: clusterName },
      ],
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    await wakeRunning(ref);
  }
}

/**
 * The workflow runs already: an object that was deleted and made anew at once, or an older view of things. It is woken,
 * and should it have ended just now, the bridge's next look at the object starts it.
 */
async function wakeRunning(ref: ReconciledRef): Promise<void> {
  try {
    await getExternalWorkflowHandle(workflowIdOf(ref)).signal(wakeSignal, [{ type: 'created' }]);
  } catch (error) {
    log.info('workflow ended while it was asked for', { workflowId: workflowIdOf(ref), error });
  }
}
