// HelmRepository to artifact against a real repository made by helm; no Kubernetes and no Temporal.
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { defaultHelmLimits } from '../../activities/source/helm/helm-limits.ts';
import { chartFiles, startChartRepository, type TestChartRepository } from '../servers/chart-repository.ts';
import { otherCaPem, testPem } from '../servers/git.ts';
import { createHelmFixture, failureOf, type HelmFixture } from '../servers/helm-fixture.ts';

let fixture: HelmFixture;
let server: TestChartRepository;

beforeEach(() => {
  fixture = createHelmFixture();
});
afterEach(() => fixture.close());

const reconcile = () => fixture.reconcile('HelmRepository', 'charts');
const use = (spec: object): void => void fixture.put('HelmRepository', 'charts', spec);
const fails = () => failureOf(reconcile());

describe('a repository over HTTP', () => {
  beforeAll(async () => {
    server = await startChartRepository();
    server.add(chartFiles('web', '1.0.0'));
    server.add(chartFiles('web', '1.1.0'));
  }, 120_000);
  afterAll(() => server.close());
  beforeEach(() => {
    for (const key of Object.keys(server.faults)) delete server.faults[key as keyof typeof server.faults];
    server.requests.length = 0;
    use({ url: server.url });
  });

  it('stores the index as JSON under the digest of what the server sent', async () => {
    const archived = await reconcile();
    if (!archived) throw new Error('nothing was archived');
    const yaml = readFileSync(join(server.directory, 'index.yaml'));
    const hex = createHash('sha256').update(yaml).digest('hex');
    expect(archived).toMatchObject({
      isNew: true,
      conditionMessage: `stored artifact: revision 'sha256:${hex}'`,
      message: expect.stringMatching(/^stored fetched index of size [\d.]+(B|kB) from 'http:\/\/127.0.0.1:\d+'$/),
      observed: { url: 'http://artifacts.test/helmrepository/apps/charts/index.yaml' },
      artifact: { revision: `sha256:${hex}`, path: `helmrepository/apps/charts/index-${hex}.yaml` },
    });
    const index = JSON.parse(readFileSync(fixture.fileOf(archived), 'utf8')) as {
      entries: Record<string, { version: string; digest: string; urls: string[]; appVersion: string }[]>;
    };
    expect(index.entries['web']?.map(({ version }) => version)).toEqual(['1.1.0', '1.0.0']);
    expect(index.entries['web']?.[0]).toMatchObject({ urls: ['web-1.1.0.tgz'], appVersion: '1.0' });
    expect(readlinkSync(join(fixture.directory, 'artifacts/helmrepository/apps/charts/index.yaml'))).toBe(
      `index-${hex}.yaml`,
    );
  });

  it('is told by the server that nothing has changed, and sees a new chart', async () => {
    await reconcile();
    expect(await reconcile()).toBeUndefined();
    expect(server.requests.map(({ status }) => status)).toEqual([200, 304]);
    server.add(chartFiles('web', '1.2.0'));
    expect((await reconcile())?.isNew).toBe(true);
  });

  it('stores the index again when its file is gone, and takes a compressed one', async () => {
    const first = await reconcile();
    if (!first) throw new Error('nothing was archived');
    writeFileSync(fixture.fileOf(first), 'damaged');
    server.faults.isCompressed = true;
    const again = await reconcile();
    expect(again?.artifact.digest).toBe(first.artifact.digest);
    expect(again?.isNew).toBe(false);
  });

  it.each<[string, string, TestChartRepository['faults'], object, RegExp]>([
    [
      'a missing index',
      'Failed',
      { status: 404 },
      {},
      /^index of Helm repository "http:.*" was not found \(HTTP 404\) at ".*\/index\.yaml"$/,
    ],
    ['a broken server', 'Failed', { status: 503 }, {}, /cannot be downloaded \(HTTP 503\): expected 200$/],
    [
      'a slow server',
      'Failed',
      { stallAfterBytes: 10 },
      { timeout: '300ms' },
      /no complete answer within 0\.3 s; check the server, or raise spec\.timeout$/,
    ],
    [
      'a broken connection',
      'Failed',
      { cutAfterBytes: 10 },
      {},
      /cannot be downloaded .*the server cut the connection/,
    ],
    [
      'a page',
      'IndexationFailed',
      { content: { suffix: 'index.yaml', body: '<html>no</html>' } },
      {},
      /cannot be read: it is no map/,
    ],
    [
      'no YAML',
      'IndexationFailed',
      { content: { suffix: 'index.yaml', body: 'a: [' } },
      {},
      /cannot be read: it is no valid YAML at line/,
    ],
    [
      'nothing',
      'IndexationFailed',
      { content: { suffix: 'index.yaml', body: '' } },
      {},
      /cannot be read: the index is empty/,
    ],
    [
      'another document',
      'IndexationFailed',
      { content: { suffix: 'index.yaml', body: 'kind: ConfigMap\n' } },
      {},
      /has no "apiVersion"/,
    ],
    [
      'refused credentials',
      'AuthenticationFailed',
      { status: 401 },
      {},
      /access was refused \(HTTP 401\): it needs credentials: name a Secret in spec\.secretRef/,
    ],
    [
      'redirects without end',
      'Failed',
      { redirect: { suffix: 'index.yaml', to: '' } },
      {},
      /leads to more than 5 redirects/,
    ],
  ])('says what is wrong with %s (%s)', async (_title, reason, faults, spec, message) => {
    Object.assign(server.faults, faults);
    use({ url: server.url, ...spec });
    expect(await fails()).toEqual({ reason, message: expect.stringMatching(message) as string });
  });

  it('refuses bombs: aliases, deep nesting, and a small file that unpacks to more than 50 MiB', async () => {
    const aliases = Array.from(
      { length: 9 },
      (_, i) =>
        `a${i}: &a${i} [${Array(9)
          .fill(i ? `*a${i - 1}` : 'x')
          .join(',')}]`,
    );
    server.faults.content = {
      suffix: 'index.yaml',
      body: `apiVersion: v1\nentries:\n  web: []\n${aliases.join('\n')}\n`,
    };
    expect((await fails()).reason).toBe('IndexationFailed');
    server.faults.content = { suffix: 'index.yaml', body: `apiVersion: v1\nentries: ${'['.repeat(100_000)}` };
    expect((await fails()).reason).toBe('IndexationFailed');
    server.faults.content = { suffix: 'index.yaml', body: Buffer.alloc(51 * 1024 * 1024, 0x20) };
    server.faults.isCompressed = true;
    expect(await fails()).toEqual({
      reason: 'Failed',
      message: `index of Helm repository "${server.url}/" is larger than the 50 MiB allowed (CONTINUO_HELM_INDEX_MAX_MIB)`,
    });
  });

  it('may have a larger index where the installation says so', async () => {
    const padded = `${readFileSync(join(server.directory, 'index.yaml'), 'utf8')}${'#'.repeat(51 * 1024 * 1024)}\n`;
    server.faults.content = { suffix: 'index.yaml', body: padded };
    server.faults.isCompressed = true;
    fixture.close();
    fixture = createHelmFixture({ ...defaultHelmLimits, indexBytes: 60 * 1024 * 1024 });
    use({ url: server.url });
    expect(await reconcile()).toMatchObject({ isNew: true, sizeBytes: Buffer.byteLength(padded) });
  });

  it('ends at once when the stage is cancelled', async () => {
    server.faults.stallAfterBytes = 1;
    const running = failureOf(reconcile());
    fixture.abort.abort(new Error('cancelled by the test'));
    expect((await running).message).toBe('cancelled by the test');
  });

  it('names a host that does not answer, and a scheme that cannot be', async () => {
    use({ url: 'http://127.0.0.1:1/charts' });
    expect(await fails()).toEqual({
      reason: 'Failed',
      message:
        'index of Helm repository "http://127.0.0.1:1/charts" cannot be downloaded (ECONNREFUSED): the server refuses connections; check host and port, also those of a proxy',
    });
    use({ url: 'oci://127.0.0.1:1/charts' });
    expect(await fails()).toEqual({
      reason: 'URLInvalid',
      message: expect.stringContaining('or spec.type "oci" with "oci://<host>/<path>"') as string,
    });
  });
});

describe('a repository with a login', () => {
  const login = { username: 'ann', password: 'pa:ss word' };
  let other: TestChartRepository;
  beforeAll(async () => {
    server = await startChartRepository({ login });
    server.add(chartFiles('web', '1.0.0'));
    other = await startChartRepository();
    other.add(chartFiles('web', '1.0.0'));
  }, 120_000);
  afterAll(async () => {
    await server.close();
    await other.close();
  });

  it('takes user and password of the Secret, and says what is wrong with them', async () => {
    use({ url: server.url, secretRef: { name: 'login' } });
    expect(await fails()).toEqual({
      reason: 'AuthenticationFailed',
      message: 'Secret "apps/login" named by spec.secretRef does not exist',
    });
    fixture.secrets['apps/login'] = { username: 'ann' };
    expect((await fails()).message).toBe('Secret "apps/login" has key "username" but no key "password"');
    fixture.secrets['apps/login'] = { username: 'ann', password: 'wrong-pw' };
    const refused = await fails();
    expect(refused).toEqual({
      reason: 'AuthenticationFailed',
      message: `index of Helm repository "${server.url}/": access was refused (HTTP 401): check Secret "apps/login"`,
    });
    fixture.secrets['apps/login'] = login;
    expect((await reconcile())?.isNew).toBe(true);
  });

  it('never sends them to another host by a redirect', async () => {
    fixture.secrets['apps/login'] = login;
    use({ url: server.url, secretRef: { name: 'login' }, passCredentials: true });
    server.faults.redirect = { suffix: 'index.yaml', to: other.url };
    other.requests.length = 0;
    expect((await reconcile())?.isNew).toBe(true);
    expect(other.requests).toEqual([{ path: '/index.yaml', authorization: undefined, status: 200 }]);
  });
});

describe('a repository over TLS with client certificates', () => {
  beforeAll(async () => {
    server = await startChartRepository({ tls: 'mutual' });
    server.add(chartFiles('web', '1.0.0'));
  }, 120_000);
  afterAll(() => server.close());

  it('takes them from certSecretRef, and from the older keys of secretRef', async () => {
    use({ url: server.url });
    expect(await fails()).toMatchObject({ reason: 'Failed', message: expect.stringContaining('unknown CA') as string });
    const [ca, cert, key] = [testPem('ca.crt'), testPem('client.crt'), testPem('client.key')];
    use({ url: server.url, certSecretRef: { name: 'tls' } });
    fixture.secrets['apps/tls'] = { 'ca.crt': otherCaPem() };
    expect((await fails()).message).toContain('unknown CA');
    fixture.secrets['apps/tls'] = { 'ca.crt': ca };
    expect(await fails()).toMatchObject({
      reason: 'Failed',
      message: expect.stringContaining('client certificate') as string,
    });
    fixture.secrets['apps/tls'] = { 'ca.crt': ca, 'tls.crt': cert, 'tls.key': key };
    expect((await reconcile())?.isNew).toBe(true);

    fixture.secrets['apps/older'] = { caFile: ca, certFile: cert, keyFile: key };
    use({ url: server.url, secretRef: { name: 'older' } });
    expect((await fixture.fetch('HelmRepository', 'charts')).isUnchanged).toBe(true);
  });
});
