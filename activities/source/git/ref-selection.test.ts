import { describe, expect, it } from 'vitest';
import {
  describeMissingRef,
  type GitRefSpec,
  planRef,
  prefixesOf,
  type RemoteRef,
  selectCommit,
} from './ref-selection.ts';

const oid = (digit: string): string => digit.repeat(40);
const refs: RemoteRef[] = [
  { name: 'HEAD', oid: oid('1') },
  { name: 'refs/heads/main', oid: oid('1') },
  { name: 'refs/heads/main-2', oid: oid('2') },
  { name: 'refs/heads/master', oid: oid('3') },
  { name: 'refs/tags/v1.0.0', oid: oid('4') },
  { name: 'refs/tags/v1.2.0', oid: oid('5'), peeledOid: oid('6') },
  { name: 'refs/tags/v1.3.0-rc.1', oid: oid('7') },
  { name: 'refs/tags/release', oid: oid('8') },
  { name: 'refs/pull/7/head', oid: oid('9') },
];

describe('ref selection', () => {
  it.each<[GitRefSpec | undefined, string, string[]]>([
    [undefined, `master@sha1:${oid('3')}`, ['refs/heads/master']],
    [{}, `master@sha1:${oid('3')}`, ['refs/heads/master']],
    [{ branch: 'main' }, `main@sha1:${oid('1')}`, ['refs/heads/main']],
    [{ branch: 'main', tag: 'release' }, `release@sha1:${oid('8')}`, ['refs/tags/release']],
    [{ tag: 'v1.2.0' }, `v1.2.0@sha1:${oid('6')}`, ['refs/tags/v1.2.0']],
    [{ tag: 'release', semver: '1.x' }, `v1.2.0@sha1:${oid('6')}`, ['refs/tags/']],
    [{ semver: '>=1.0.0-0' }, `v1.3.0-rc.1@sha1:${oid('7')}`, ['refs/tags/']],
    [{ semver: '1.x', name: 'refs/pull/7/head' }, `refs/pull/7/head@sha1:${oid('9')}`, ['refs/pull/7/head']],
    [{ name: 'refs/heads/main', commit: oid('A') }, `refs/heads/main@sha1:${oid('a')}`, []],
    [{ branch: 'main', commit: oid('a') }, `main@sha1:${oid('a')}`, []],
    [{ commit: oid('a') }, `sha1:${oid('a')}`, []],
  ])('selects for %j the revision %s', (spec, revision, prefixes) => {
    const plan = planRef(spec);
    expect(prefixesOf(plan)).toEqual(prefixes);
    expect(selectCommit(plan, refs)?.revision).toBe(revision);
  });

  it.each<[GitRefSpec, string]>([
    [{ branch: 'dev' }, 'branch "dev" was not found; the repository has branches "main", "main-2", "master"'],
    [{ tag: 'v9' }, 'tag "v9" was not found; the repository has tags "v1.0.0", "v1.2.0", "v1.3.0-rc.1", "release"'],
    [{ semver: '>3' }, 'no tag matches the version range ">3"; the repository has tags "v1.0.0"'],
    [{ name: 'refs/x' }, 'ref "refs/x" was not found; the repository has refs "refs/heads/main"'],
  ])('explains that nothing fits %j', (spec, message) => {
    const plan = planRef(spec);
    expect(selectCommit(plan, refs)).toBeUndefined();
    expect(describeMissingRef(plan, refs).startsWith(message)).toBe(true);
  });

  it('counts the refs that it does not list', () => {
    const many = Array.from({ length: 8 }, (_, n) => ({ name: `refs/heads/b${n}`, oid: oid('1') }));
    expect(describeMissingRef(planRef({ branch: 'x' }), many)).toContain('"b4" and 3 more');
  });

  it('refuses a commit that is not a full id', () => {
    expect(() => planRef({ commit: 'abc1234' })).toThrow('"abc1234" is not a full commit id');
  });
});
