// The form in which Helm keeps a release in a Secret: JSON, gzip, base64, and base64 once more for the Secret itself
// (contract 2.2, "names").
import { gunzipSync, gzipSync } from 'node:zlib';

/** A release as Helm writes it; only what is read here is named, and everything else passes through unharmed. */
export interface StoredRelease {
  name: string;
  namespace: string;
  version: number;
  info: ReleaseInfo;
  chart?: { metadata?: ChartMetadata; [field: string]: unknown };
  config?: Record<string, unknown>;
  /** The rendered objects without hooks, as a stream of YAML. */
  manifest?: string;
  hooks?: ReleaseHook[];
  /** Unset: `csa`. */
  apply_method?: string;
  [field: string]: unknown;
}

/** Names that Helm gives to the states of a release. */
export type ReleaseStatus =
  | 'unknown'
  | 'deployed'
  | 'uninstalled'
  | 'superseded'
  | 'failed'
  | 'uninstalling'
  | 'pending-install'
  | 'pending-upgrade'
  | 'pending-rollback';

export interface ReleaseInfo {
  /** Times as RFC 3339, with up to nine digits of a second. */
  first_deployed?: string;
  last_deployed?: string;
  deleted?: string;
  description?: string;
  status: ReleaseStatus;
  rollback_revision?: number;
  notes?: string;
  [field: string]: unknown;
}

export interface ReleaseHook {
  name?: string;
  kind?: string;
  path?: string;
  manifest?: string;
  /** `pre-install`, `post-upgrade`, `test` … */
  events?: string[];
  last_run?: { started_at?: string; completed_at?: string; phase: string };
  weight?: number;
  delete_policies?: string[];
  output_log_policies?: string[];
}

/** `Chart.yaml` of the chart. */
export interface ChartMetadata {
  name?: string;
  version?: string;
  appVersion?: string;
  [field: string]: unknown;
}

const maxDecodedBytes = 64 * 1024 * 1024;

/** The JSON in the field `release` of a Secret, without the Secret's own base64. Throws an `Error` that quotes nothing of it. */
export function unpackRelease(packed: Buffer): string {
  const inner = Buffer.from(packed.toString('latin1'), 'base64');
  const isZipped = inner[0] === 0x1f && inner[1] === 0x8b;
  try {
    return (isZipped ? gunzipSync(inner, { maxOutputLength: maxDecodedBytes }) : inner).toString('utf8');
  } catch (error) {
    throw new Error(`the stored release cannot be unpacked (${(error as NodeJS.ErrnoException).code ?? 'damaged'})`);
  }
}

/** The inverse of {@link unpackRelease}; `level` is that of gzip, nine as Helm's. */
export function packRelease(json: string, level = 9): Buffer {
  return Buffer.from(gzipSync(json, { level }).toString('base64'), 'latin1');
}

/** The release that a Secret holds, as {@link unpackRelease} takes it. Throws an `Error` that quotes nothing of it. */
export function decodeRelease(packed: Buffer): StoredRelease {
  const json = unpackRelease(packed);
  let release: unknown;
  try {
    release = JSON.parse(json);
  } catch {
    throw new Error('the stored release is no JSON');
  }
  if (!isRelease(release)) throw new Error('the stored release has no name, version or info');
  return release;
}

/** The inverse of {@link decodeRelease}. */
export function encodeRelease(release: StoredRelease): Buffer {
  return packRelease(JSON.stringify(release));
}

function isRelease(value: unknown): value is StoredRelease {
  if (typeof value !== 'object' || value === null) return false;
  const { name, version, info } = value as Partial<StoredRelease>;
  return typeof name === 'string' && typeof version === 'number' && typeof info?.status === 'string';
}

/** True for a state that a process of helm which did not end well has left behind. */
export function isPending(status: string): boolean {
  return status === 'pending-install' || status === 'pending-upgrade' || status === 'pending-rollback';
}
