// Coalescing: however many wakes arrive, the next pass sees each reason once.
import type { WakeReason } from '../messages.ts';

/** More distinct reasons than this say no more than "observe everything", which a pass does anyway. */
const maximumReasons = 50;

/** Adds reasons that are not in the list yet; the newest resourceVersion of equal ones wins. */
export function mergeWakes(pending: readonly WakeReason[], incoming: readonly WakeReason[]): WakeReason[] {
  const merged = [...pending];
  for (const reason of incoming) {
    const index = merged.findIndex(
      (m) => m.type === reason.type && m.subject === reason.subject && m.manager === reason.manager,
    );
    if (index >= 0) merged[index] = reason;
    else if (merged.length < maximumReasons) merged.push(reason);
  }
  return merged;
}
