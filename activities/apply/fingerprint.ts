// What tells that a live object is still what it was after our last write, without comparing it to the manifest.
import { compareResourceVersions } from '../../k8s/resource-version.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { digestOf } from './digest.ts';
import { needsCleanup } from './field-managers.ts';
import { isApplyDisabled, isMerge } from './selectors.ts';

/** What is remembered of one applied object. */
export interface AppliedEntry {
  /** API version and kind, `group/version/Kind`, by which its resource is found in the memory. */
  type: string;
  namespace: string;
  name: string;
  /** Digest of the normalised desired object and its ignored paths. */
  desiredDigest: string;
  /** The keys that we applied; other labels and annotations are nobody's business here. */
  labelKeys: string[];
  annotationKeys: string[];
  /** {@link fingerprintOf} the live object after our last look at it. */
  fingerprint: string;
  uid: string;
  /** resourceVersion that this look (or our write) gave: a cache that is older says nothing about the object. */
  resourceVersion: string;
  /**
   * Why it is not applied: a switch on the desired or on the live object, `present`: it is to be created only when it is
   * missing, or `taken`: another owner has it.
   */
  skip?: 'desired' | 'live' | 'present' | 'taken';
}

/**
 * The fingerprint of a live object: its uid, the labels and annotations that we applied, and its content: the generation
 * when the kind has one, else a digest of all fields but metadata and status, else (metadata only) its resourceVersion.
 */
export function fingerprintOf(
  live: KubeObject,
  keys: Pick<AppliedEntry, 'labelKeys' | 'annotationKeys'>,
  isMetadataOnly: boolean,
): string {
  const { uid, generation, resourceVersion, labels = {}, annotations = {} } = live.metadata;
  const applied = [keys.labelKeys.map((key) => labels[key]), keys.annotationKeys.map((key) => annotations[key])];
  return digestOf([uid, applied, contentOf(live, generation, isMetadataOnly ? resourceVersion : undefined)]);
}

function contentOf(live: KubeObject, generation: number | undefined, resourceVersion: string | undefined): unknown {
  if (generation !== undefined) return generation;
  if (resourceVersion !== undefined) return resourceVersion;
  const { apiVersion: _, kind: __, metadata: ___, status: ____, ...content } = live;
  return content;
}

/**
 * True when a cached live object proves that nothing has to be done for an entry. False is no proof of the contrary:
 * the object is then looked at in full.
 */
export function isEntryInSync(
  entry: AppliedEntry,
  cached: KubeObject | undefined,
  isMetadataOnly: boolean,
  overrideManagers: readonly string[] = [],
): boolean {
  if (entry.skip === 'desired') return true;
  // Whether the other owner still wants it, the object does not say.
  if (entry.skip === 'taken') return false;
  if (!cached || cached.metadata.deletionTimestamp) return false;
  if (entry.skip === 'present') return true;
  if (compareResourceVersions(cached.metadata.resourceVersion ?? '', entry.resourceVersion) < 0) return false;
  if (isApplyDisabled(cached)) return entry.skip === 'live';
  if (entry.skip === 'live') return false;
  if (!isMerge(cached) && needsCleanup(cached, overrideManagers)) return false;
  return fingerprintOf(cached, entry, isMetadataOnly) === entry.fingerprint;
}
