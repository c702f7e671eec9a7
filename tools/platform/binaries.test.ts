import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { cachedPath, findBinary } from './binaries.ts';
import { binaries, type BinaryName } from './binary-table.ts';
import { moduleReplaces, stagingReplaces } from './registry.ts';
import { downloadRelease, findDigest } from './release.ts';

const folder = mkdtempSync(join(tmpdir(), 'binaries-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the table', () => {
  const names = Object.keys(binaries) as BinaryName[];

  test('gives every binary an environment variable of its own name', () => {
    expect(names.map((name) => binaries[name].env)).toEqual(
      names.map((name) => `CONTINUO_${name.toUpperCase().replaceAll('-', '_')}`),
    );
  });

  test('offers a release only with something to verify it by', () => {
    const releases = names.flatMap((name) => binaries[name].release?.({ os: 'linux', arch: 'amd64' }) ?? []);

    expect(releases.length).toBeGreaterThan(5);
    for (const release of releases) expect(release.sha256 ?? release.checksumUrl).toBeTruthy();
  });

  test('takes any kubectl from 1.30 on, any sops 3 from 3.13 on, but only the pinned minor of the API server', () => {
    expect(['1.9.0', '1.29.9', '1.30.0', '1.38.1'].map(binaries.kubectl.accepts)).toEqual([false, false, true, true]);
    expect(['3.12.9', '3.13.0', '3.14.1', '4.0.0'].map(binaries.sops.accepts)).toEqual([false, true, true, false]);
    expect(['1.36.3', '1.37.0', '1.38.0'].map(binaries['kube-apiserver'].accepts)).toEqual([false, true, false]);
  });
});

describe('findBinary', () => {
  test('uses the binary that the environment names', () => {
    expect(findBinary('etcd', { CONTINUO_ETCD: process.execPath })).toBe(process.execPath);
  });

  test('refuses an environment variable that names no executable', () => {
    expect(() => findBinary('etcd', { CONTINUO_ETCD: '/nowhere/etcd' })).toThrow(
      'etcd not usable (NotFound): CONTINUO_ETCD names "/nowhere/etcd", which is not an executable file',
    );
  });

  test('finds nothing on an empty PATH and in an empty cache', () => {
    expect(findBinary('etcd', { PATH: '', XDG_CACHE_HOME: folder })).toBeUndefined();
  });

  test('keeps binaries under the cache directory of the user', () => {
    expect(cachedPath('kwok', { XDG_CACHE_HOME: '/cache' })).toBe(`/cache/continuo/kwok-${binaries.kwok.version}`);
  });
});

describe('findDigest', () => {
  const digest = 'ab'.repeat(32);

  test('finds the line of the file in a list', () => {
    expect(findDigest(`${'00'.repeat(32)}  other.tar.gz\n${digest} *tool.tar.gz\n`, 'tool.tar.gz')).toBe(digest);
  });

  test('takes a bare digest for the file beside which it lies', () => {
    expect(findDigest(`${digest}\n`, 'kubectl')).toBe(digest);
  });

  test('finds nothing in an error page', () => {
    expect(findDigest('<html>not found</html>', 'kubectl')).toBeUndefined();
  });
});

describe('downloadRelease', () => {
  const content = Buffer.from('#!/bin/sh\n');
  const sha256 = createHash('sha256').update(content).digest('hex');
  const serve = (files: Record<string, string | Buffer>): typeof fetch => {
    return async (url) => {
      const file = files[String(url)];
      return file === undefined ? new Response('', { status: 404 }) : new Response(new Uint8Array(Buffer.from(file)));
    };
  };

  test('installs an executable whose published digest is right', async () => {
    const target = join(folder, 'good', 'tool-1');
    const release = { url: 'https://host.test/tool', checksumUrl: 'https://host.test/tool.sha256' };
    const outcome = await downloadRelease(
      release,
      target,
      undefined,
      serve({ [release.url]: content, [release.checksumUrl]: sha256 }),
    );

    expect(outcome).toEqual({ ok: true });
    expect(readFileSync(target)).toEqual(content);
    expect(statSync(target).mode & 0o777).toBe(0o755);
  });

  test('installs nothing when the digest is wrong', async () => {
    const target = join(folder, 'bad', 'tool-1');
    const release = { url: 'https://host.test/tool', sha256: '00'.repeat(32) };
    const outcome = await downloadRelease(release, target, undefined, serve({ [release.url]: content }));

    expect(outcome).toEqual({
      ok: false,
      cause: `sha256 of "https://host.test/tool" is "${sha256}", expected "${'00'.repeat(32)}"`,
    });
    expect(() => statSync(target)).toThrow('ENOENT');
  });
});

test('replaces each staging module of k8s.io/kubernetes and leaves the other replacements alone', () => {
  const goMod = [
    'replace (',
    '\tk8s.io/api => ./staging/src/k8s.io/api',
    '\tgithub.com/a/b => github.com/c/d v1.0.0',
    ')',
    'replace k8s.io/kms => ./staging/src/k8s.io/kms',
  ].join('\n');

  expect(stagingReplaces(goMod, 'v0.37.2')).toBe(
    'replace k8s.io/api => k8s.io/api v0.37.2\nreplace k8s.io/kms => k8s.io/kms v0.37.2\n',
  );
});

test('replaces what a module replaces by other modules, and nothing by folders', () => {
  const goMod = [
    'replace github.com/fluxcd/source-controller/api => ./api',
    'replace a.test/digest => a.test/digest v1.0.1-0.2022-bde1',
    'replace (',
    '\tb.test/yaml v3.0.0 => b.test/yaml v3.0.1',
    ')',
    'require c.test/x v1.0.0',
  ].join('\n');

  expect(moduleReplaces(goMod)).toBe(
    'replace a.test/digest => a.test/digest v1.0.1-0.2022-bde1\nreplace b.test/yaml v3.0.0 => b.test/yaml v3.0.1\n',
  );
});
