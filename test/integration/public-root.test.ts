// The trusted root for keyless signatures, from a TUF repository on loopback.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPublicRoot, type PublicRoot } from '../../activities/source/oci/verify/public-root.ts';
import { readFixture } from '../fixtures/cosign/recorded-repository.ts';
import { startTufRepository, type TufRepository } from '../servers/tuf.ts';

const signal = new AbortController().signal;
const trusted = readFixture('cosign/trusted_root.json').toString();

let repository: TufRepository;
let directory: string;
let rootFile: string;

beforeEach(async () => {
  repository = await startTufRepository('trusted_root.json', trusted);
  directory = mkdtempSync(join(tmpdir(), 'continuo-tuf-'));
  rootFile = join(directory, 'first-root.json');
  writeFileSync(rootFile, repository.root);
});
afterEach(async () => {
  await repository.close();
  rmSync(directory, { recursive: true, force: true });
});

/** As a worker that was just started on the data directory. */
function open(refreshMs?: number): PublicRoot {
  return createPublicRoot({
    repositoryUrl: repository.url,
    rootFile,
    cacheDirectory: join(directory, 'cache'),
    refreshMs,
  });
}

describe('the root of a Sigstore instance', () => {
  it('is fetched when it is first asked for, once for all, and kept', async () => {
    const root = open();
    expect(repository.requests).toEqual([]);
    const [one, other] = await Promise.all([root(signal), root(signal)]);
    expect(other).toBe(one);
    expect(one.certificateAuthorities).toHaveLength(1);
    const asked = [...repository.requests];
    expect(asked).toContain('/timestamp.json');
    expect(asked.some((path) => path.endsWith('.trusted_root.json'))).toBe(true);
    await root(signal);
    expect(repository.requests).toEqual(asked);
  });

  it('is fetched anew when it is due, and only what has changed', async () => {
    const root = open(0);
    await root(signal);
    repository.requests.length = 0;
    await root(signal);
    expect(repository.requests).toEqual(['/2.root.json', '/timestamp.json']);
    repository.publish(JSON.stringify({ ...(JSON.parse(trusted) as object), tlogs: [] }));
    expect((await root(signal)).tlogs).toEqual([]);
  });

  it('is taken from disk while the repository is away, as long as it has not expired', async () => {
    await open()(signal);
    repository.faults.status = 503;
    expect((await open()(signal)).certificateAuthorities).toHaveLength(1);
    rmSync(join(directory, 'cache'), { recursive: true });
    delete repository.faults.status;
    repository.publish(trusted, 1);
    await open()(signal);
    repository.faults.status = 503;
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    await expect(open()(signal)).rejects.toThrow(
      `the TUF repository "${repository.url}" gave no trusted root (HTTP 503): `,
    );
  }, 60_000);

  it('is refused when others have signed it, and the last good one stays', async () => {
    await open()(signal);
    repository.faults.isForged = true;
    repository.publish(JSON.stringify({ ...(JSON.parse(trusted) as object), tlogs: [] }));
    expect((await open()(signal)).tlogs).not.toEqual([]);
    rmSync(join(directory, 'cache'), { recursive: true });
    await expect(open()(signal)).rejects.toThrow(/gave no trusted root.*sign/i);
  });

  it('begins anew where a worker died while it wrote, and where trust begins elsewhere', async () => {
    await open()(signal);
    const cache = join(directory, 'cache');
    const [start = ''] = readdirSync(cache);
    const [place = ''] = readdirSync(join(cache, start));
    writeFileSync(join(cache, start, place, 'root.json'), '{"signed": ');
    expect((await open()(signal)).certificateAuthorities).toHaveLength(1);
    const other = await startTufRepository('trusted_root.json', trusted);
    writeFileSync(rootFile, other.root);
    await other.close();
    await expect(open()(signal)).rejects.toThrow('gave no trusted root');
  });

  it('does not hold up who gives up, and says when nobody answers', async () => {
    repository.faults.delayMs = 30_000;
    await expect(open()(AbortSignal.timeout(50))).rejects.toThrow(/abort|timeout/i);
    await repository.close();
    await expect(open()(signal)).rejects.toThrow(
      new RegExp(`^the TUF repository "${repository.url}" gave no trusted root \\(ECONNREFUSED\\): `),
    );
  }, 60_000);
});
