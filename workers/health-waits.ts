// How waits for health are run: few of them for a moment in place, all others as activities that say after a while what
// they wait for.
import { activityInfo } from '@temporalio/activity';
import { failure } from '../activities/errors.ts';
import type { HealthActivities } from '../activities/health/health-activities.ts';
import type { ReconciledRef } from '../workflows/messages.ts';
import { toldIfLong } from './told-if-long.ts';

/** A wait in place holds a local slot, and most of those are for work. */
const waitsInPlace = 4;

/** The health activities, bounded where they run in place, and telling where they take long. */
export function boundedHealthWaits(
  health: HealthActivities,
  reportProgress: (progress: { ref: ReconciledRef; message: string }) => Promise<void>,
): HealthActivities {
  let inPlace = 0;

  async function waitInPlace(input: Parameters<HealthActivities['waitForHealth']>[0]) {
    // Not worth a slot: the workflow takes the ordinary activity.
    if (inPlace >= waitsInPlace) {
      throw failure('HealthCheckCanceled', 'too many wait in place already', { isTransient: true });
    }
    inPlace++;
    try {
      return await health.waitForHealth(input);
    } finally {
      inPlace--;
    }
  }

  return {
    async waitForHealth(input) {
      if (activityInfo().isLocal) return await waitInPlace(input);
      const { kustomization, kind = 'Kustomization', revision } = input;
      // The workflow of a release has said what it waits for: another word for it would only be a second write.
      if (kind !== 'Kustomization') return await health.waitForHealth(input);
      const message = `Running health checks for revision ${revision}`;
      const ref = { kind: 'Kustomization', namespace: kustomization.namespace, name: kustomization.name } as const;
      return await toldIfLong(
        () => reportProgress({ ref, message }),
        () => health.waitForHealth(input),
      );
    },
  };
}
