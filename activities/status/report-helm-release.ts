// Reports of a HelmRelease: after every action, so that its counters outlive the worker, and at the end of a reconcile.
import type { HelmRelease } from '../../k8s/api/helm-release.ts';
import type { InventoryEntry } from '../../k8s/object.ts';
import type { DriftRound } from '../../workflows/decisions/drift-fight.ts';
import type { ReconciledRef } from '../../workflows/messages.ts';
import type { ReconcileOutcome, StageFailure } from '../../workflows/reconciled-kind.ts';
import { isReason, reasons } from '../errors.ts';
import type { EventRecorder } from '../event/recorder.ts';
import type { Attempt, NamedRelease, ReleaseActionResult } from '../helm/release-types.ts';
import { driftConflictCondition, driftConflictNote, driftConflictReason } from './drift-conflict.ts';
import {
  placeOf,
  readyOf,
  statusAfterAction,
  statusAfterRelease,
  statusAfterReleaseFailure,
  verdictOf,
  type HelmReportContext,
} from './helm-release-status.ts';
import { isoSeconds, type ObjectWriter } from './status-activities.ts';

export interface HelmReportDependencies {
  writer: ObjectWriter;
  events: EventRecorder;
  readInventory(key: string): Promise<InventoryEntry[]>;
}

interface ReportInput {
  ref: ReconciledRef;
  generation: number;
  request?: string;
  revision?: string;
  startedAtMs: number;
}

const group = 'helm.toolkit.fluxcd.io';
const component = 'helm-controller';
const maxLogLines = 10;

export type HelmReleaseReportActivities = ReturnType<typeof createHelmReleaseReport>;

export function createHelmReleaseReport({ writer, events, readInventory }: HelmReportDependencies) {
  const find = async (ref: ReconciledRef): Promise<HelmRelease | undefined> =>
    (await writer.find('HelmRelease', ref)) as HelmRelease | undefined;

  const tell = (object: HelmRelease, attempt: Attempt | undefined, event: EventText): void => {
    const { chart, configDigest } = attempt ?? {};
    const annotations = {
      ...(chart ? { [`${group}/revision`]: chart.version } : {}),
      ...(configDigest ? { [`${group}/token`]: configDigest } : {}),
      ...(chart?.appVersion ? { [`${group}/app-version`]: chart.appVersion } : {}),
      ...(chart?.ociDigest ? { [`${group}/oci-digest`]: chart.ociDigest } : {}),
    };
    events.record({ object, ...event, annotations, component });
  };

  /** What the store has lost is listed again by the next action. */
  const inventoryIfKept = async (key: string | undefined): Promise<InventoryEntry[] | undefined> =>
    key === undefined
      ? undefined
      : await readInventory(key).then(
          (entries) => entries.map(({ id, v }) => ({ id, v })),
          () => undefined,
        );

  /** The object as an action leaves it. */
  const afterAction = async (
    object: HelmRelease,
    context: HelmReportContext,
    attempt: Attempt,
    result: ReleaseActionResult,
  ): Promise<HelmRelease> => {
    const inventory = await inventoryIfKept(result.inventoryKey);
    return { ...object, status: statusAfterAction(object, context, attempt, result, inventory) };
  };

  return {
    /** Gives the version of the object that has it all, for a worker whose memory is behind. */
    async reportReleaseAction(
      input: ReportInput & { attempt: Attempt; result: ReleaseActionResult },
    ): Promise<{ resourceVersion?: string }> {
      const object = await find(input.ref);
      if (!object) return {};
      const { attempt, result } = input;
      const context = { generation: input.generation, now: isoSeconds(Date.now()) };
      const { status = {} } = await afterAction(object, context, attempt, result);
      await writer.writeStatus(object, status);
      for (const event of eventsOf(result, attempt)) tell(object, attempt, event);
      return { resourceVersion: (await find(input.ref))?.metadata.resourceVersion };
    },

    async reportRelease(
      input: ReportInput & {
        attempt: Attempt;
        release: NamedRelease;
        /** Actions that were run. */
        actions: string[];
        /** The last of them, where nothing could follow it and so nothing has told it yet. */
        result?: ReleaseActionResult;
        drift?: { isDetected: boolean; lines: string[] };
        /** Drift that was given up correcting at once. */
        lostFights?: DriftRound[];
        /** A person went back to what is in place. */
        isHeld?: boolean;
      },
    ): Promise<ReconcileOutcome> {
      const { attempt, drift, release, isHeld, result } = input;
      const context = { generation: input.generation, request: input.request, now: isoSeconds(Date.now()) };
      const stored = await find(input.ref);
      const object = stored && result ? await afterAction(stored, context, attempt, result) : stored;
      const [inPlace] = object?.status?.history ?? [];
      const outcome: ReconcileOutcome = {
        isUnchanged: input.actions.length === 0,
        reason: 'ReconciliationSucceeded',
        message: `release ${release.namespace}/${release.name} is in sync with chart ${attempt.chart.name}@${attempt.chart.version}`,
        revision: isHeld ? inPlace?.chartVersion : input.revision,
        changes: Object.fromEntries(input.actions.map((action) => [action, 1])),
      };
      if (!stored || !object) return outcome;
      const place = `${placeOf(release, inPlace?.version ?? 0)} with chart ${attempt.chart.name}@${attempt.chart.version}`;
      const told = drift && {
        isDetected: drift.isDetected,
        message: drift.isDetected ? driftedMessage(place, drift.lines) : `No drift detected for release ${place}`,
      };
      // Nobody fights where drift is only told.
      const lostFights = object.spec.driftDetection?.mode === 'enabled' ? (input.lostFights ?? []) : [];
      const before = (type: string) => object.status?.conditions?.find((condition) => condition.type === type);
      const next = statusAfterRelease(object, context, attempt, { drift: told, lostFights, isHeld });
      await writer.writeStatus(stored, next);
      for (const event of result ? eventsOf(result, attempt) : []) tell(stored, attempt, event);
      if (told?.isDetected && before('Drifted')?.message !== told.message) {
        tell(object, attempt, { type: 'Warning', reason: 'DriftDetected', message: told.message });
      }
      for (const fight of lostFights) {
        if (before(driftConflictCondition)?.message.includes(fight.subject)) continue;
        tell(object, attempt, { type: 'Warning', reason: driftConflictReason, message: driftConflictNote(fight) });
      }
      const ready = readyOf(object, next.conditions ?? []);
      return ready ? { ...outcome, reason: ready.reason, message: ready.message } : outcome;
    },

    async reportReleaseFailure(
      input: ReportInput & {
        failed: StageFailure;
        attempt?: Attempt;
        /** An action's report has told it already. */
        isTold?: boolean;
        /** Only waited for, e.g. a chart that was asked for a moment ago: no event. */
        isQuiet?: boolean;
      },
    ): Promise<{ isStalled: boolean }> {
      const { failed, attempt, isTold = false } = input;
      const object = await find(input.ref);
      const isStalled = isReason(failed.reason) && reasons[failed.reason].retry === 'stall';
      if (!object) return { isStalled };
      const context = { generation: input.generation, request: input.request, now: isoSeconds(Date.now()) };
      const { reason, message } = failed;
      await writer.writeStatus(
        object,
        statusAfterReleaseFailure(object, context, { reason, message, isStalled, isTold, attempt }),
      );
      const isWaiting = isReason(reason) && reasons[reason].retry === 'wait';
      if (!input.isQuiet && (!isTold || isStalled)) {
        tell(object, attempt, { type: isWaiting ? 'Normal' : 'Warning', reason, message });
      }
      return { isStalled };
    },
  };
}

interface EventText {
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
}

function eventsOf(result: ReleaseActionResult, attempt: Attempt): EventText[] {
  const { action, failure, changed = [], release, warning } = result;
  if (action === 'correct') {
    const place = `${release.namespace}/${release.name}`;
    const detected: EventText = { type: 'Warning', reason: 'DriftDetected', message: driftedMessage(place, changed) };
    const corrected: EventText = failure
      ? {
          type: 'Warning',
          reason: 'DriftCorrectionFailed',
          message: `Failed to correct the drift of release ${place}: ${failure.message}`,
        }
      : {
          type: 'Normal',
          reason: 'DriftCorrected',
          message: `Cluster state of release ${place} has been corrected:\n${changed.join('\n')}`,
        };
    return changed.length > 0 ? [detected, corrected] : [corrected];
  }
  const warnings: EventText[] = warning ? [{ type: 'Warning', ...warning }] : [];
  const verdict = verdictOf(result, attempt.chart);
  if (!verdict) return warnings;
  const log = (failure?.logTail ?? []).slice(-maxLogLines);
  const message = log.length > 0 ? `${verdict.message}\n\nLast Helm logs:\n\n${log.join('\n')}` : verdict.message;
  return [...warnings, { type: failure ? 'Warning' : 'Normal', reason: verdict.reason, message }];
}

function driftedMessage(place: string, lines: readonly string[]): string {
  return `Cluster state of release ${place} has drifted from the desired state:\n${lines.join('\n')}`;
}
