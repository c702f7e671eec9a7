// Which artifact spec.ref selects (contract 1.2): digest before semver, semver before tag, without all of them `latest`.
import { RE2JS } from 're2js';
import type { OCIRepositorySpec } from '../../../k8s/api/oci-repository.ts';
import { compileConstraint, highestTag, versionOfTag } from '../git/semver-constraint.ts';
import { isDigest, isTag } from './oci-address.ts';

/** What is to be looked up. */
export type OciReference =
  | { type: 'digest'; digest: string }
  | { type: 'tag'; tag: string }
  | { type: 'semver'; range: string; filter: string | undefined };

/** Throws an `Error` for a tag or digest that cannot be one. */
export function planReference(ref: OCIRepositorySpec['ref'] = {}): OciReference {
  const { digest, semver, semverFilter, tag } = ref;
  if (digest) {
    if (isDigest(digest)) return { type: 'digest', digest };
    throw new Error(`spec.ref.digest: expected "sha256:<64 hexadecimal digits>", got "${digest.slice(0, 200)}"`);
  }
  if (semver) return { type: 'semver', range: semver, filter: semverFilter || undefined };
  if (!tag) return { type: 'tag', tag: 'latest' };
  if (isTag(tag)) return { type: 'tag', tag };
  throw new Error(`spec.ref.tag: expected letters, digits, "_", "." and "-", got "${tag.slice(0, 200)}"`);
}

/**
 * The tag with the highest version of a range, of those in which the filter is found. The filter has Go's syntax and
 * takes time in proportion to the tags, whatever it is. Throws an `Error` for a range or filter that cannot be
 * understood, and when nothing fits.
 */
export function selectTag(tags: readonly string[], range: string, filter: string | undefined): string {
  const filtered = filter === undefined ? tags : tags.filter(compileFilter(filter));
  const versions = filtered.filter(isVersion);
  const tag = highestTag(versions, range);
  if (tag !== undefined) return tag;
  const passed = filter === undefined ? '' : `, ${filtered.length} of them pass spec.ref.semverFilter "${filter}"`;
  throw new Error(
    `no match found for semver: ${range} (${tags.length} tags${passed}, ${versions.length} of them are versions)`,
  );
}

/** The tags that pass a filter and are versions of a range, in their order; without either, all. */
export function matchingTags(tags: readonly string[], range: string | undefined, filter: string | undefined): string[] {
  const filtered = filter ? tags.filter(compileFilter(filter)) : [...tags];
  if (!range) return filtered;
  const allows = compileConstraint(range);
  return filtered.filter((tag) => {
    const version = isVersion(tag) ? versionOfTag(tag) : undefined;
    return version !== undefined && allows(version);
  });
}

/** Whole versions only: `1` and `2024.11` are names of something that moves, or no versions at all. */
function isVersion(tag: string): boolean {
  return /^v?\d+\.\d+\.\d+(?:[-+]|$)/.test(tag);
}

function compileFilter(filter: string): (tag: string) => boolean {
  let pattern: RE2JS;
  try {
    pattern = RE2JS.compile(filter);
  } catch (error) {
    throw new Error(
      `the filter of tags "${filter}" is no regular expression: ${error instanceof Error ? error.message : ''}`,
      { cause: error },
    );
  }
  return (tag) => pattern.matcher(tag).find();
}
