// What a kind of source brings to the stages that all sources share: how its revision is found, checked and archived.
// The stages themselves (source-activities.ts) look up the object, heartbeat and cancel.
import type { KubeObject, NamespacedName } from '../../k8s/object.ts';
import type { Condition } from '../../k8s/api/shared/status.ts';
import type { Artifact } from '../artifact/artifact.ts';

/** A source object as far as its stages are alike; each kind's own type extends it. */
export interface SourceObject extends KubeObject {
  spec: { interval?: string; timeout?: string; suspend?: boolean; verify?: unknown };
  status?: {
    observedGeneration?: number;
    lastHandledReconcileAt?: string;
    conditions?: Condition[];
    artifact?: Artifact;
    url?: string;
  };
}

/** What the remote has now. Enters histories: a few hundred bytes, and nothing secret. */
export interface FetchedRevision {
  /** As the contract spells the kind's revisions, e.g. `main@sha1:<40 hex>`. */
  revision: string;
  /** The artifact in the status is of this revision and of this spec, and its file is intact: nothing is left to do. */
  isUnchanged: boolean;
  /** The object asks for signatures to be checked: the verify stage runs before the archive stage. */
  needsVerification?: boolean;
  /** What the later stages need to find the very same thing again. */
  found?: Readonly<Record<string, string>>;
  /** Git: the commit. */
  commit?: string;
  /** Git: first line of the commit's message, at most 50 characters and `...`; empty when nothing was fetched. */
  commitSubject?: string;
  /** Git: full name of the ref that led to the commit. */
  refName?: string;
}

/** What a signature was found to say, for the condition SourceVerified (status True, reason Succeeded). */
export interface VerifiedRevision {
  message: string;
  /** Git: `HEAD`, `Tag` or `TagAndHEAD`, for `status.sourceVerificationMode`. */
  mode?: string;
  /** The trust policy asks for no proof: nothing is told in SourceVerified. @default false */
  isIgnored?: boolean;
}

/** What the archive stage made. */
export interface ArchivedRevision {
  artifact: Artifact;
  /** The digest differs from that of the artifact in the status. */
  isNew: boolean;
  /** For the event, e.g. `stored artifact for commit '<subject>'`. */
  message: string;
  /** For the conditions Ready and ArtifactInStorage, e.g. `stored artifact for revision '<revision>'`. */
  conditionMessage: string;
  /** For the same conditions. @default 'Succeeded' */
  conditionReason?: string;
  fileCount: number;
  /** Bytes of the files that were read for it; what is packed as it was before is not read again. */
  sizeBytes: number;
  /**
   * The fields of the status that tell what shaped the artifact: `observed*`, and where the kind has them `url`,
   * `includedArtifacts`, `sourceVerificationMode`. Those that are not given are removed.
   */
  observed: Readonly<Record<string, unknown>>;
}

/**
 * One kind of source. Every method fails with a reason of the table in errors.ts, ends at once when the signal is
 * aborted (with the signal's reason), and may run again after a crash: publishing the same content twice is harmless.
 */
export interface SourceDriver<S extends SourceObject = SourceObject> {
  /** Finds out the revision; downloads as little as that needs. An unchanged source costs one listing. */
  fetch(object: S, signal: AbortSignal): Promise<FetchedRevision>;
  /** Checks the signatures that the object asks for; called only after a fetch that said `needsVerification`. */
  verify?(object: S, fetched: FetchedRevision, signal: AbortSignal): Promise<VerifiedRevision>;
  /** Publishes the artifact of what was fetched. */
  archive(object: S, fetched: FetchedRevision, signal: AbortSignal): Promise<ArchivedRevision>;
  /** Deletes what the kind keeps beside the artifacts, of an object that is gone. */
  remove?(owner: NamespacedName): Promise<void>;
}
