// What an action finds that another worker had begun and did not live to report.
import type { HelmSnapshot } from '../../k8s/api/helm-release.ts';
import { attemptAnnotation } from './api-gateway.ts';

/** True for a revision that an attempt has made; those that it only changed bear another mark. */
export function isMadeBy(attempt: string, revision: { annotations: Readonly<Record<string, string>> }): boolean {
  return revision.annotations[attemptAnnotation] === attempt;
}

/**
 * The revision that helm calls superseded, as it was before the action: the deployed one, or for want of one the newest,
 * which had failed. Helm may have renamed it already; what the status tells, which is not of this action yet, comes first.
 */
export function replacedRevision(
  others: readonly { version: number; status: string }[],
  told: readonly Pick<HelmSnapshot, 'version' | 'status'>[] = [],
): { version: number; status: string } | undefined {
  const before = others.map(({ version, status }) => ({
    version,
    status: told.find((snapshot) => snapshot.version === version)?.status ?? status,
  }));
  return before.find(({ status }) => status === 'deployed') ?? before[0];
}

/** What helm said of a failure, out of what it recorded: `Upgrade "<name>" failed: <what it said>`. */
export function recordedCause(description = ''): string {
  return /^\w+ "[^"]*" failed: (.*)$/s.exec(description)?.[1] ?? description;
}
