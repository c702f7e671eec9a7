// Report of an ArtifactGenerator's reconcile: status patch and events.
import type { ArtifactGenerator } from '../../k8s/api/artifact-generator.ts';
import type { ReconciledRef } from '../../workflows/messages.ts';
import type { ReconcileOutcome, StageFailure } from '../../workflows/reconciled-kind.ts';
import { isReason, reasons } from '../errors.ts';
import type { EventRecorder } from '../event/recorder.ts';
import { generatedMessage, generatorStatusAfterFailure, generatorStatusAfterSuccess } from './generator-status.ts';
import { isoSeconds, type ObjectWriter } from './status-activities.ts';

interface ReportInput {
  ref: ReconciledRef;
  generation: number;
  request?: string;
  trigger: string;
}

export interface GeneratorReport extends ReportInput {
  generated: { isUnchanged: boolean; sourcesDigest: string; count: number; changed: string[] };
}

const component = 'source-watcher';

export type GeneratorReportActivities = ReturnType<typeof createGeneratorReport>;

export function createGeneratorReport({ writer, events }: { writer: ObjectWriter; events: EventRecorder }) {
  const find = async (ref: ReconciledRef): Promise<ArtifactGenerator | undefined> =>
    (await writer.find(ref.kind, ref)) as ArtifactGenerator | undefined;

  return {
    async reportArtifactGenerator(input: GeneratorReport): Promise<ReconcileOutcome> {
      const { generated } = input;
      const message = generatedMessage(generated.count);
      const outcome: ReconcileOutcome = {
        isUnchanged: generated.isUnchanged,
        reason: 'Succeeded',
        message,
        revision: generated.sourcesDigest,
        changed: generated.changed,
      };
      const object = await find(input.ref);
      if (!object) return outcome;
      const context = { ...input, now: isoSeconds(Date.now()) };
      await writer.writeStatus(object, generatorStatusAfterSuccess(object, context, generated));
      // Contract 1.7: the reason of a success is that of its condition's type.
      if (!generated.isUnchanged) events.record({ object, type: 'Normal', reason: 'Ready', message, component });
      else if (input.trigger === 'request') {
        const noNews = `No drift detected, ${generated.count} artifact(s) up to date`;
        events.record({ object, type: 'Normal', reason: 'Ready', message: noNews, component });
      }
      return outcome;
    },

    async reportArtifactGeneratorFailure(
      input: ReportInput & { failed: StageFailure },
    ): Promise<{ isStalled: boolean }> {
      const { failed } = input;
      const isStalled = isReason(failed.reason) && reasons[failed.reason].retry === 'stall';
      const object = await find(input.ref);
      if (!object) return { isStalled };
      const context = { ...input, now: isoSeconds(Date.now()) };
      await writer.writeStatus(object, generatorStatusAfterFailure(object, context, { ...failed, isStalled }));
      const { reason, message } = failed;
      events.record({ object, type: 'Warning', reason, message, component });
      return { isStalled };
    },
  };
}
