// What a pass sees of an object before it decides. Small on purpose: an observation enters the workflow's history.
import type { Observation } from '../../workflows/decisions/decide.ts';
import type { ReconciledRef } from '../../workflows/messages.ts';
import type { Obstacle } from '../../workflows/decisions/obstacle.ts';

/** The part of an artifact that consumers need. */
export interface ArtifactRef {
  digest: string;
  url: string;
  revision: string;
  /** When it was made; absent in histories of before. */
  updatedAt?: string;
  /** Its revision in the origin, e.g. the commit that an OCI artifact was made from (contract 1.2). */
  originRevision?: string;
}

/** A source that fetches. */
export interface SourceObservation extends Observation {
  obstacle?: Obstacle;
  /** Where it fetches from, without credentials. */
  url: string;
  /** What it is made from is the artifact of another source, so that it takes milliseconds. Absent in histories of before. */
  isNear?: boolean;
}

/** Manifests that were built before and that the artifact at hand would build again. */
export interface BuiltRef {
  manifestsDigest: string;
  /** Objects in them. */
  count: number;
  buildKey?: string;
}

/** Manifests that were applied and became healthy, and that are kept. */
export interface HealthyManifests {
  manifestsDigest: string;
  /** Objects in them. */
  count: number;
  revision: string;
}

export interface KustomizationObservation extends Observation {
  /** Why no reconcile can succeed now. */
  obstacle?: Obstacle;
  artifact?: ArtifactRef;
  /** The artifact is in this worker's cache of unpacked ones. */
  isUnpacked: boolean;
  built?: BuiltRef;
  /** What was rolled back to, while the source's revision is held. */
  held?: HealthyManifests;
  /** A new revision that fails is to be rolled back (annotation `continuo.dev/rollback`). */
  isRollbackEnabled?: boolean;
  /** Dependencies that are not ready and whose workflows can say when they are. */
  waitingFor?: ReconciledRef[];
  /** When it is being deleted: what it depended on, and is told once it is gone. */
  dependencies?: ReconciledRef[];
  /** A person asked for the full path (`reconcile.fluxcd.io/forceAt`), or `spec.force` has changed. */
  isForced: boolean;
  timeoutMs: number;
}

export interface HelmReleaseObservation extends Observation {
  obstacle?: Obstacle;
  /** The chart. */
  artifact?: ArtifactRef;
  /** The HelmChart of `spec.chart` is not as the spec wants it, or one that is wanted no more is still there. */
  mustChangeChart?: boolean;
  waitingFor?: ReconciledRef[];
  dependencies?: ReconciledRef[];
}
