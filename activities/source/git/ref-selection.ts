// Which commit a GitRepository follows: from spec.ref and the remote's refs to a commit and its revision (contract 1.1).
import { highestTag } from './semver-constraint.ts';

/** spec.ref. */
export interface GitRefSpec {
  branch?: string;
  tag?: string;
  semver?: string;
  name?: string;
  commit?: string;
}

/** One ref of a remote. */
export interface RemoteRef {
  /** Full name, e.g. `refs/heads/main`. */
  name: string;
  oid: string;
  /** What an annotated tag points to in the end. */
  peeledOid?: string;
}

/** What spec.ref asks for, after precedence: commit, name, semver, tag, branch; branch `master` when nothing is named. */
export type RefPlan =
  | { kind: 'commit'; commit: string; ref?: string; label?: string }
  | { kind: 'ref'; ref: string; label: string; noun: 'branch' | 'tag' | 'ref' }
  | { kind: 'semver'; range: string };

/** A commit that was selected. */
export interface SelectedCommit {
  commit: string;
  /** `main@sha1:…`, `v1.0.0@sha1:…`, `refs/…@sha1:…` or `sha1:…`. */
  revision: string;
  /** Full name of the ref that led to it. */
  refName?: string;
  /** Id of the tag object, when the ref is an annotated tag. */
  tag?: string;
}

/** Applies the precedence of spec.ref. Throws an `Error` for a commit that is not a full SHA-1. */
export function planRef(spec: GitRefSpec | undefined): RefPlan {
  const { commit, name, semver, tag, branch } = spec ?? {};
  if (commit) {
    if (!/^[0-9a-fA-F]{40}$/.test(commit)) {
      throw new Error(
        `spec.ref.commit "${commit.slice(0, 80)}" is not a full commit id: expected 40 hexadecimal digits`,
      );
    }
    const lower = commit.toLowerCase();
    if (branch) return { kind: 'commit', commit: lower, ref: `refs/heads/${branch}`, label: branch };
    return name ? { kind: 'commit', commit: lower, ref: name, label: name } : { kind: 'commit', commit: lower };
  }
  if (name) return { kind: 'ref', ref: name, label: name, noun: 'ref' };
  if (semver) return { kind: 'semver', range: semver };
  if (tag) return { kind: 'ref', ref: `refs/tags/${tag}`, label: tag, noun: 'tag' };
  return { kind: 'ref', ref: `refs/heads/${branch || 'master'}`, label: branch || 'master', noun: 'branch' };
}

/** Which refs have to be listed for a plan; none for a bare commit. */
export function prefixesOf(plan: RefPlan): string[] {
  if (plan.kind === 'commit') return [];
  return [plan.kind === 'semver' ? 'refs/tags/' : plan.ref];
}

/** The commit of a plan, or undefined when no ref fits. Throws an `Error` for a range that is none. */
export function selectCommit(plan: RefPlan, refs: RemoteRef[]): SelectedCommit | undefined {
  if (plan.kind === 'commit') {
    const revision = formatRevision(plan.label, plan.commit);
    return plan.ref ? { commit: plan.commit, revision, refName: plan.ref } : { commit: plan.commit, revision };
  }
  const wanted = plan.kind === 'ref' ? { name: plan.ref, label: plan.label } : semverRef(plan.range, refs);
  const ref = refs.find((candidate) => candidate.name === wanted?.name);
  if (!ref || !wanted) return undefined;
  const commit = ref.peeledOid ?? ref.oid;
  const revision = formatRevision(wanted.label, commit);
  return { commit, revision, refName: ref.name, ...(ref.peeledOid ? { tag: ref.oid } : {}) };
}

function semverRef(range: string, refs: RemoteRef[]): { name: string; label: string } | undefined {
  const prefix = 'refs/tags/';
  const tags = refs.filter((ref) => ref.name.startsWith(prefix)).map((ref) => ref.name.slice(prefix.length));
  const tag = highestTag(tags, range);
  return tag === undefined ? undefined : { name: prefix + tag, label: tag };
}

/** `<label>@sha1:<commit>`, or `sha1:<commit>` without a label. */
export function formatRevision(label: string | undefined, commit: string): string {
  return label ? `${label}@sha1:${commit}` : `sha1:${commit}`;
}

/** Says what was looked for and which refs are there instead. `refs` are all refs of the remote. */
export function describeMissingRef(plan: RefPlan, refs: RemoteRef[]): string {
  const branches = shortNames(refs, 'refs/heads/');
  const tags = shortNames(refs, 'refs/tags/');
  switch (plan.kind) {
    case 'commit':
      return `commit "${plan.commit}" was not found`;
    case 'semver':
      return `no tag matches the version range "${plan.range}"; ${list('tags', tags)}`;
    case 'ref':
      if (plan.noun === 'tag') return `tag "${plan.label}" was not found; ${list('tags', tags)}`;
      if (plan.noun === 'branch') return `branch "${plan.label}" was not found; ${list('branches', branches)}`;
      return `ref "${plan.label}" was not found; ${list(
        'refs',
        refs.map((ref) => ref.name).filter((name) => name !== 'HEAD'),
      )}`;
  }
}

function shortNames(refs: RemoteRef[], prefix: string): string[] {
  return refs.filter((ref) => ref.name.startsWith(prefix)).map((ref) => ref.name.slice(prefix.length));
}

const listedNames = 5;

function list(noun: string, names: string[]): string {
  if (names.length === 0) return `the repository has no ${noun}`;
  const shown = names
    .slice(0, listedNames)
    .map((name) => `"${name}"`)
    .join(', ');
  const more = names.length > listedNames ? ` and ${names.length - listedNames} more` : '';
  return `the repository has ${noun} ${shown}${more}`;
}
