// Which version of a chart a range selects, as Helm resolves it (contract 1.4, spec.version). Pure.
import type { SemVer } from 'semver';
import { compileConstraint, versionOfTag } from '../git/semver-constraint.ts';

export interface VersionCandidate {
  version: string;
  /** When it was packaged, epoch ms: decides between versions that differ in their build metadata only. */
  createdMs?: number;
}

/**
 * The version that is written just like `range`, else the highest that the range allows; `*` and nothing are the highest
 * that is no prerelease. undefined when there is none. Throws an `Error` for a range that cannot be understood.
 */
export function selectVersion<V extends VersionCandidate>(versions: readonly V[], range: string): V | undefined {
  const exact = versions.find(({ version }) => version === range);
  if (exact) return exact;
  const allows = compileConstraint(range.trim() === '' ? '*' : range);
  let best: { candidate: V; version: SemVer } | undefined;
  for (const candidate of versions) {
    const version = versionOfTag(candidate.version);
    if (!version || !allows(version)) continue;
    const order = best
      ? version.compare(best.version) || (candidate.createdMs ?? 0) - (best.candidate.createdMs ?? 0)
      : 1;
    if (order > 0) best = { candidate, version };
  }
  return best?.candidate;
}

/** True for one version that is spelled out, which needs no list of versions. */
export function isExactVersion(range: string): boolean {
  return /^v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/.test(range);
}
