// What a source hands to its consumers, and the interfaces of the store that keeps it.
import type { NamespacedName } from '../../k8s/object.ts';

/** `status.artifact` of every source (contract 1.0). */
export interface Artifact {
  /** `sha256:<hex>` of the .tar.gz. */
  digest: string;
  /** `<lowercase kind>/<namespace>/<name>/<file>`, relative to the store's root. */
  path: string;
  /** Where a consumer downloads it: `http://<advertised address>/<path>`. */
  url: string;
  /** e.g. `main@sha1:<40 hex>`. */
  revision: string;
  lastUpdateTime: string;
  size?: number;
  metadata?: Record<string, string>;
}

/** The source object that an artifact belongs to. */
export interface ArtifactOwner extends NamespacedName {
  kind: string;
}

/** One regular file for an archive. `content` is read once, in the order in which the archive is written. */
export interface ArchiveFile {
  /** Relative path with `/`, never starting with `/` and without `..`. */
  path: string;
  isExecutable: boolean;
  /** Names the content: files with the same id have the same content, so what is packed of one is known of the other. */
  contentId?: string;
  /** When it is known beforehand; the length of the content is what counts. */
  sizeBytes?: number;
  content(): Promise<Uint8Array>;
}

/** Artifacts and content-addressed blobs; the file driver is the default, every driver keeps the same promises. */
export interface ArtifactStore {
  /**
   * Packs files into a reproducible tar.gz, writes it atomically under `<kind>/<ns>/<name>/<fileName>` and returns what
   * goes into `status.artifact`. Publishing the same content twice is harmless.
   */
  publish(owner: ArtifactOwner, fileName: string, revision: string, files: Iterable<ArchiveFile>): Promise<Artifact>;
  /**
   * Stores content as it is (a chart, an index, a layer) under `<kind>/<ns>/<name>/<fileName>`, with the same promises.
   */
  publishContent(
    owner: ArtifactOwner,
    fileName: string,
    revision: string,
    content: AsyncIterable<Uint8Array>,
  ): Promise<Artifact>;
  /** Lets `<kind>/<ns>/<name>/<linkName>` lead to the artifact, for `status.url`; gives its URL. */
  link(owner: ArtifactOwner, linkName: string, artifact: Artifact): Promise<string>;
  /** True when the artifact's file is there and its digest is right; a wrong one is dropped. */
  verify(artifact: Artifact): Promise<boolean>;
  /** The advertised address may have changed since the artifact was made: the URL as it is to be now. */
  urlOf(path: string): string;
  /** Retention (contract 1.0): keeps `current`, the newest records, and what is younger than the TTL. */
  collectGarbage(owner: ArtifactOwner, current: Artifact | undefined): Promise<string[]>;
  /** Drops everything of an owner that is deleted. */
  removeAll(owner: ArtifactOwner): Promise<void>;
  /** Internal blobs (built manifests, apply memory): never served to consumers. undefined when absent. */
  readBlob(key: string): Promise<Uint8Array | undefined>;
  writeBlob(key: string, content: Uint8Array): Promise<void>;
  removeBlob(key: string): Promise<void>;
  /**
   * Removes the blobs of a family that were written longer ago than an age, except those that are to be kept; they are
   * named by the digest in their key, or by the digest of their key. A blob that is removed meanwhile is no error.
   */
  sweepBlobs(family: SweptFamily, options: SweepOptions): Promise<SweepResult>;
}

/** First part of the keys of blobs that are found again by their content alone, so that nobody removes them by key. */
export const sweptFamilies = ['manifests', 'builds', 'inventory'] as const;
export type SweptFamily = (typeof sweptFamilies)[number];

export interface SweepOptions {
  olderThanMs: number;
  /** Default: nothing is kept for another reason than its age. */
  isKept?(name: string): boolean | Promise<boolean>;
}

export interface SweepResult {
  removedCount: number;
  /** What is there now. */
  kept: ReadonlySet<string>;
}

/** An artifact that was downloaded, verified and unpacked, with the sha256 of each of its files. */
export interface UnpackedArtifact {
  digest: string;
  /** Directory with the unpacked files, read-only by convention and shared by all who build from it. */
  directory: string;
  /** Path (no leading `./`) → hex sha256 of the file. */
  files: ReadonlyMap<string, string>;
}

/** The shared cache of unpacked artifacts: each is downloaded, verified and unpacked once a process. */
export interface UnpackedArtifacts {
  /**
   * Gives the unpacked artifact, fetching it when it is not there; concurrent calls for one digest share one download.
   * Fails with reason ArtifactFailed (digest mismatch, 404, unsafe tar entry, over the size limits).
   */
  get(artifact: Pick<Artifact, 'digest' | 'url' | 'revision'>, signal?: AbortSignal): Promise<UnpackedArtifact>;
  /** The unpacked artifact if it is there now, without any I/O to the network. */
  peek(digest: string): UnpackedArtifact | undefined;
}
