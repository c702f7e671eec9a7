// Where charts are pulled from, a server with an index (indexed-remote.ts) or a registry (oci-remote.ts), behind one
// interface.
import type { OciVerification } from '../../../k8s/api/shared/verification.ts';
import { failure, messageOf } from '../../errors.ts';
import type { PublicRoot } from '../oci/verify/public-root.ts';
import type { VerifiedRevision } from '../source-driver.ts';
import type { IndexedChart } from './chart-index.ts';
import { selectVersion } from './chart-version.ts';
import type { ReadSecret } from './repository-access.ts';

/** What signatures are checked against. */
export interface VerificationCheck {
  verify: OciVerification;
  /** Of the Secrets that `verify` names. */
  namespace: string;
  readSecret: ReadSecret;
  /** For signatures without a key. */
  publicRoot: PublicRoot;
}

/** A chart with the digest by which it is pulled as it was verified. */
export type PinnedChart = IndexedChart & { digest: string };

/** One repository of charts. */
export interface ChartRemote {
  /**
   * The version of a chart that a range selects. Fails with InvalidChartReference when there is none, with
   * ChartPullError when the repository cannot be asked.
   */
  find(name: string, range: string, signal: AbortSignal): Promise<IndexedChart>;
  /** The packaged chart. Fails with ChartPullError, also when it does not have the digest that the chart has here. */
  pull(chart: IndexedChart, signal: AbortSignal): Promise<Uint8Array>;
  /** The digest by which a chart is pinned: of its package, or of its manifest. Fails with ChartPullError. */
  digestOf(chart: IndexedChart, signal: AbortSignal): Promise<string>;
  /** Checks the signatures of a chart. Fails with ChartVerificationError. */
  verify(chart: PinnedChart, check: VerificationCheck, signal: AbortSignal): Promise<VerifiedRevision>;
}

/** Fails with InvalidChartReference. */
export function invalidReference(message: string): ReturnType<typeof failure> {
  return failure('InvalidChartReference', `invalid chart reference: ${message}`);
}

/** Fails with ChartPullError. */
export function pullError(message: string, cause?: unknown): ReturnType<typeof failure> {
  return failure('ChartPullError', `chart pull error: ${message}`, { cause });
}

/** The version that a range selects, of those that are `where`. Fails with InvalidChartReference. */
export function selectChart(name: string, versions: IndexedChart[], range: string, where: string): IndexedChart {
  let selected: IndexedChart | undefined;
  try {
    selected = selectVersion(versions, range);
  } catch (error) {
    throw invalidReference(`chart '${name}': ${messageOf(error)}`);
  }
  if (selected) return selected;
  const newest = versions[0] ? `the newest is '${versions[0].version}'` : 'it has no valid version at all';
  throw invalidReference(`no '${name}' chart with version matching '${range}' found in the ${where}: ${newest}`);
}

/** How messages call a chart. */
export function nameOfChart({ name, version }: Pick<IndexedChart, 'name' | 'version'>): string {
  return `chart '${name}' version '${version}'`;
}
