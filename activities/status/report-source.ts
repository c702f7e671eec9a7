// Report of a source's reconcile: status patch, events, retention of old artifacts.
import type { ReconciledRef } from '../../workflows/messages.ts';
import type { ReconcileOutcome, StageFailure } from '../../workflows/reconciled-kind.ts';
import type { ArtifactStore } from '../artifact/artifact.ts';
import { isReason, reasons } from '../errors.ts';
import type { EventRecorder } from '../event/recorder.ts';
import type { SourceObject, VerifiedRevision } from '../source/source-driver.ts';
import {
  type ArchivedSource,
  isRemade,
  sourceStatusAfterFailure,
  sourceStatusAfterSuccess,
  storedAs,
} from './source-status.ts';
import { isoSeconds, type ObjectWriter } from './status-activities.ts';

interface ReportInput {
  ref: ReconciledRef;
  generation: number;
  request?: string;
  trigger: string;
  startedAtMs: number;
}

export interface SourceReport extends ReportInput {
  fetched?: { revision: string; isUnchanged: boolean };
  verified?: VerifiedRevision;
  archived?: ArchivedSource & { isNew: boolean; message: string };
}

export interface SourceReportDependencies {
  writer: ObjectWriter;
  events: EventRecorder;
  store: Pick<ArtifactStore, 'collectGarbage'>;
}

const group = 'source.toolkit.fluxcd.io';
const component = 'source-controller';

export type SourceReportActivities = ReturnType<typeof createSourceReport>;

export function createSourceReport({ writer, events, store }: SourceReportDependencies) {
  const find = async (ref: ReconciledRef): Promise<SourceObject | undefined> =>
    (await writer.find(ref.kind, ref)) as SourceObject | undefined;

  const tell = (object: SourceObject, type: 'Normal' | 'Warning', reason: string, message: string) => {
    const artifact = object.status?.artifact;
    const annotations = artifact
      ? { [`${group}/revision`]: artifact.revision, [`${group}/digest`]: artifact.digest }
      : undefined;
    events.record({ object, type, reason, message, annotations, component });
  };

  return {
    async reportSource(input: SourceReport): Promise<ReconcileOutcome> {
      const object = await find(input.ref);
      const { archived } = input;
      const revision = archived?.artifact.revision ?? object?.status?.artifact?.revision;
      const { reason, message } = storedAs(object?.status ?? {}, archived);
      const outcome = { isUnchanged: !archived, reason, message, revision };
      if (!object) return outcome;

      const next = sourceStatusAfterSuccess(
        object,
        { ...input, now: isoSeconds(Date.now()) },
        archived,
        input.verified,
      );
      const wasReady = object.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false;
      await writer.writeStatus(object, next);
      const told = { ...object, status: next };
      // A chart's events have the reason of its condition, any other source's the common one (contract 1.0, "Events").
      if (archived?.isNew) tell(told, 'Normal', archived.conditionReason ?? 'NewArtifact', archived.message);
      else if (archived && isRemade(object, archived)) {
        const lost = `the stored artifact of revision '${revision ?? ''}' was lost or damaged`;
        tell(told, 'Warning', 'ArtifactVerificationFailed', `${lost}, and has been made again`);
      } else if (!wasReady) tell(told, 'Normal', 'Succeeded', message);
      else if (input.request && input.trigger === 'request') {
        tell(
          told,
          'Normal',
          input.ref.kind === 'GitRepository' ? 'GitOperationSucceeded' : 'ArtifactUpToDate',
          `no changes since last reconciliation: observed revision '${revision ?? ''}'`,
        );
      }
      const { namespace, name, kind } = input.ref;
      if (archived) await store.collectGarbage({ kind, namespace, name }, archived.artifact);
      return { ...outcome, changed: archived ? [archived.message] : undefined };
    },

    async reportSourceFailure(input: ReportInput & { failed: StageFailure }): Promise<{ isStalled: boolean }> {
      const { failed } = input;
      const object = await find(input.ref);
      const isStalled = isReason(failed.reason) && reasons[failed.reason].retry === 'stall';
      if (!object) return { isStalled };
      const context = { ...input, now: isoSeconds(Date.now()) };
      const next = sourceStatusAfterFailure(object, context, { ...failed, isStalled });
      await writer.writeStatus(object, next);
      tell({ ...object, status: next }, 'Warning', failed.reason, failed.message);
      return { isStalled };
    },
  };
}
