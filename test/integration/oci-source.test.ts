// OCIRepository to artifact against a real registry.
import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fluxContentType, fluxLayer } from '../servers/flux-artifact.ts';
import {
  pushTestArtifact,
  registryUser,
  startTestRegistry,
  tamperWith,
  type TestArtifact,
  type TestRegistry,
} from '../servers/registry.ts';
import { otherCaPem, testPem } from '../servers/git.ts';
import { startHttpProxy } from '../servers/http-proxy.ts';
import { createOciFixture, dockerConfig, failureOf, type OciFixture } from './oci-fixture.ts';

let fixture: OciFixture;
let count = 0;

beforeEach(() => {
  fixture = createOciFixture();
});
afterEach(() => fixture.close());

const files = { 'apps/config.yaml': 'kind: ConfigMap\n', 'README.md': 'hello\n', 'logo.png': 'picture' };

async function artifactOf(content: Record<string, string> = files): Promise<TestArtifact> {
  return {
    layers: [fluxLayer(content)],
    annotations: {
      'org.opencontainers.image.created': '2026-11-22T00:00:00Z',
      'org.opencontainers.image.source': 'https://git.test/demo',
      'org.opencontainers.image.revision': 'main@sha1:abc',
    },
  };
}

describe('a registry without login', () => {
  let registry: TestRegistry;
  let repository: string;
  let url: string;

  beforeAll(async () => {
    registry = await startTestRegistry();
  });
  afterAll(() => registry.close());
  beforeEach(() => {
    repository = `team/app-${count++}`;
    url = `oci://${registry.host}/${repository}`;
    registry.requests.length = 0;
    for (const name of Object.keys(registry.faults)) delete registry.faults[name as keyof typeof registry.faults];
  });

  const push = async (tag: string, artifact?: TestArtifact) =>
    await pushTestArtifact(registry, repository, tag, artifact ?? (await artifactOf()));
  const seen = () => registry.requests.map(({ method, path }) => `${method} ${path.replace(repository, 'REPO')}`);

  it('gives the revision, the annotations, the link and the messages of the contract', async () => {
    const { digest } = await push('1.2.3');
    fixture.use(url, { ref: { tag: '1.2.3' } });
    const { fetched, archived } = await fixture.reconcile();
    expect(fetched).toEqual({
      revision: `1.2.3@${digest}`,
      isUnchanged: false,
      needsVerification: false,
      found: { digest },
    });
    expect(archived).toMatchObject({
      isNew: true,
      message: `stored artifact with revision '1.2.3@${digest}' from '${url}', origin source 'https://git.test/demo', origin revision 'main@sha1:abc'`,
      conditionMessage: `stored artifact for digest '1.2.3@${digest}'`,
      fileCount: 2,
      observed: { url: 'http://artifacts.test/ocirepository/apps/demo/latest.tar.gz' },
      artifact: {
        path: `ocirepository/apps/demo/${digest.slice('sha256:'.length)}.tar.gz`,
        revision: `1.2.3@${digest}`,
        metadata: {
          'org.opencontainers.image.created': '2026-11-22T00:00:00Z',
          'org.opencontainers.image.source': 'https://git.test/demo',
          'org.opencontainers.image.revision': 'main@sha1:abc',
        },
      },
    });
    expect(fixture.list(archived)).toEqual(['README.md', 'apps/', 'apps/config.yaml']);
    expect(fixture.read(archived, 'apps/config.yaml')).toBe('kind: ConfigMap\n');
  });

  it('asks an unchanged tag with one HEAD, and an unchanged digest with nothing', async () => {
    const { digest } = await push('latest');
    fixture.use(url);
    fixture.report((await fixture.reconcile()).archived);
    registry.requests.length = 0;
    expect(await fixture.fetch()).toMatchObject({ isUnchanged: true, revision: `latest@${digest}` });
    expect(seen()).toEqual(['HEAD /v2/REPO/manifests/latest']);

    fixture.use(url, { ref: { digest } });
    const { archived } = await fixture.reconcile();
    expect(archived.artifact.revision).toBe(digest);
    fixture.report(archived);
    registry.requests.length = 0;
    expect(await fixture.fetch()).toMatchObject({ isUnchanged: true, revision: digest });
    expect(seen()).toEqual([]);
  });

  it('makes the same bytes of the same files, whatever packed them', async () => {
    await push('a');
    await push('b', { layers: [fluxLayer(Object.fromEntries(Object.entries(files).reverse()))] });
    fixture.use(url, { ref: { tag: 'a' } });
    const first = await fixture.reconcile();
    fixture.use(url, { ref: { tag: 'b' } });
    const second = await fixture.reconcile();
    expect(second.archived.artifact.digest).toBe(first.archived.artifact.digest);
    expect(second.archived.artifact.revision).not.toBe(first.archived.artifact.revision);
  });

  it('takes the highest version that passes the filter, over all pages of tags', async () => {
    for (const tag of ['1.0.0', '1.1.0', '1.2.0-rc.1', '2.0.0', '20241122', '1.9', 'latest', 'v1.1.5']) await push(tag);
    fixture.use(url, { ref: { semver: '1.x' } });
    expect((await fixture.fetch()).revision).toMatch(/^v1\.1\.5@/);
    fixture.use(url, { ref: { semver: '1.x', semverFilter: '^\\d' } });
    expect((await fixture.fetch()).revision).toMatch(/^1\.1\.0@/);
    fixture.use(url, { ref: { semver: '>=1.0.0-0', semverFilter: '.*-rc.*', tag: 'latest' } });
    expect((await fixture.fetch()).revision).toMatch(/^1\.2\.0-rc\.1@/);
    fixture.use(url, { ref: { semver: '>=3' } });
    expect(await failureOf(fixture.fetch())).toEqual({
      reason: 'ReadOperationFailed',
      message: `failed to determine the artifact tag for '${url}': no match found for semver: >=3 (8 tags, 5 of them are versions)`,
    });
    fixture.use(url, { ref: { semver: '1.x', semverFilter: '(' } });
    expect(await failureOf(fixture.fetch())).toMatchObject({
      reason: 'ReadOperationFailed',
      message: expect.stringContaining('the filter of tags "(" is no regular expression') as string,
    });
  });

  it('follows spec.ignore, and builds again when it changes', async () => {
    await push('latest');
    fixture.use(url);
    fixture.report((await fixture.reconcile()).archived);
    fixture.object().spec.ignore = 'README.md\n';
    const { fetched, archived } = await fixture.reconcile();
    expect(fetched.isUnchanged).toBe(false);
    expect(archived.observed).toMatchObject({ observedIgnore: 'README.md\n' });
    expect(fixture.list(archived)).toEqual(['apps/', 'apps/config.yaml', 'logo.png']);
    fixture.report(archived);
    expect((await fixture.fetch()).isUnchanged).toBe(true);
  });

  it('keeps a selected layer as it is with copy', async () => {
    const chart = Buffer.from('not even a tar archive');
    const chartType = 'application/vnd.cncf.helm.chart.content.v1.tar+gzip';
    await push('6.0.0', {
      configMediaType: 'application/vnd.cncf.helm.config.v1+json',
      layers: [
        { mediaType: 'application/vnd.cncf.helm.chart.provenance.v1.prov', content: Buffer.from('signed') },
        { mediaType: chartType, content: chart },
      ],
    });
    const layerSelector = { mediaType: chartType, operation: 'copy' } as const;
    fixture.use(url, { ref: { tag: '6.0.0' }, layerSelector });
    const { archived } = await fixture.reconcile();
    expect(archived.artifact.digest).toBe(`sha256:${createHash('sha256').update(chart).digest('hex')}`);
    expect(archived.artifact.path).toMatch(/\/[0-9a-f]{64}\.tar\.gz$/);
    expect(archived.observed).toMatchObject({ observedLayerSelector: layerSelector });
    fixture.report(archived);
    expect((await fixture.fetch()).isUnchanged).toBe(true);

    fixture.use(url, { ref: { tag: '6.0.0' } });
    expect(await failureOf(fixture.reconcile())).toMatchObject({
      reason: 'OCIArtifactLayerOperationFailed',
      message: expect.stringContaining('is not a gzipped tar archive') as string,
    });
    fixture.use(url, { ref: { tag: '6.0.0' }, layerSelector: { mediaType: fluxContentType } });
    expect((await failureOf(fixture.reconcile())).message).toContain(
      `it has no layer of the media type "${fluxContentType}", its layers are of "application/vnd.cncf.helm.chart.provenance.v1.prov", "${chartType}"`,
    );
  });

  it('takes linux/amd64 out of an index, under the revision of the index', async () => {
    const arm = await push('arm', { layers: [fluxLayer({ 'a.txt': 'arm' })] });
    const amd = await push('amd', { layers: [fluxLayer({ 'a.txt': 'amd' })], annotations: { made: 'here' } });
    const { createRegistryClient } = await import('../../activities/source/oci/registry-client.ts');
    const client = createRegistryClient({ host: registry.host, isInsecure: true });
    const mediaType = 'application/vnd.oci.image.index.v1+json';
    const pushIndex = async (tag: string, manifests: object[]) =>
      await client.pushManifest(
        repository,
        tag,
        mediaType,
        Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests })),
        new AbortController().signal,
      );
    const index = await pushIndex('multi', [
      { ...arm, platform: { os: 'linux', architecture: 'arm64' } },
      { ...amd, platform: { os: 'linux', architecture: 'amd64' } },
    ]);
    fixture.use(url, { ref: { tag: 'multi' } });
    const { archived } = await fixture.reconcile();
    expect(archived.artifact).toMatchObject({ revision: `multi@${index.digest}`, metadata: { made: 'here' } });
    expect(fixture.read(archived, 'a.txt')).toBe('amd');
    await pushIndex('arm-only', [{ ...arm, platform: { os: 'linux', architecture: 'arm64' } }]);
    fixture.use(url, { ref: { tag: 'arm-only' } });
    expect(await failureOf(fixture.reconcile())).toMatchObject({
      reason: 'OCIArtifactPullFailed',
      message: expect.stringContaining('the index has no image for linux/amd64, it has linux/arm64') as string,
    });
  });

  it('says what is missing', async () => {
    fixture.use(url, { ref: { tag: 'absent' } });
    expect(await failureOf(fixture.fetch())).toEqual({
      reason: 'OCIArtifactPullFailed',
      message: `failed to determine artifact digest: "${registry.host}/${repository}:absent" was not found (HTTP 404, MANIFEST_UNKNOWN: manifest unknown): check the address and the reference; some registries also answer so without credentials`,
    });
    fixture.use(url, { ref: { semver: '1.x' } });
    expect(await failureOf(fixture.fetch())).toMatchObject({
      reason: 'ReadOperationFailed',
      message: expect.stringContaining('NAME_UNKNOWN') as string,
    });
    fixture.use(url, { ref: { digest: `sha256:${'0'.repeat(64)}` } });
    expect(await failureOf(fixture.reconcile())).toEqual({
      reason: 'OCIArtifactPullFailed',
      message: expect.stringContaining('@sha256:0000') as string,
    });
    for (const [wrong, words] of [
      [`${url}:v1`, 'must not contain a tag: remove ":v1" and set spec.ref.tag'],
      ['oci://host', 'names no repository'],
      ['oci://host/Upper', 'no name of a repository'],
    ] as const) {
      fixture.use(wrong);
      expect(await failureOf(fixture.fetch())).toMatchObject({
        reason: 'URLInvalid',
        message: expect.stringContaining(words) as string,
      });
    }
    fixture.use(url, { provider: 'aws' });
    expect(await failureOf(fixture.fetch())).toMatchObject({
      reason: 'AuthenticationFailed',
      message: expect.stringContaining('logs in to its own registries alone') as string,
    });
    fixture.use(url, { secretRef: { name: 'none' } });
    expect(await failureOf(fixture.fetch())).toEqual({
      reason: 'AuthenticationFailed',
      message: 'Secret "apps/none" named by spec.secretRef does not exist',
    });
    fixture.use(url, { serviceAccountName: 'none' });
    expect(await failureOf(fixture.fetch())).toEqual({
      reason: 'AuthenticationFailed',
      message: 'ServiceAccount "apps/none" named by spec.serviceAccountName does not exist',
    });
  });

  it('refuses tampered blobs and manifests, and publishes nothing', async () => {
    const artifact = await artifactOf({ 'a.txt': String(Math.random()) });
    const { digest } = await push('latest', artifact);
    const layer = `sha256:${createHash('sha256')
      .update(artifact.layers[0]?.content ?? '')
      .digest('hex')}`;
    tamperWith(registry, layer);
    fixture.use(url);
    expect(await failureOf(fixture.reconcile())).toMatchObject({
      reason: 'OCIArtifactPullFailed',
      message: expect.stringContaining(`is not what it is meant to be: expected digest "${layer}"`) as string,
    });
    tamperWith(registry, digest);
    expect(await failureOf(fixture.reconcile())).toEqual({
      reason: 'OCIArtifactPullFailed',
      message: expect.stringContaining(`is not what it is meant to be: expected digest "${digest}"`) as string,
    });
  });

  it('survives a HEAD that says no digest or is refused', async () => {
    const { digest } = await push('latest');
    fixture.use(url);
    registry.faults.isDigestHidden = true;
    expect((await fixture.fetch()).revision).toBe(`latest@${digest}`);
    registry.faults.isDigestHidden = false;
    registry.faults.isHeadRefused = true;
    expect((await fixture.fetch()).revision).toBe(`latest@${digest}`);
  });

  it('waits as Retry-After says, and tells how long when that is too long', async () => {
    await push('latest');
    fixture.use(url);
    registry.requests.length = 0;
    Object.assign(registry.faults, { status: 429, times: 2, headers: { 'retry-after': '0' } });
    expect((await fixture.fetch()).isUnchanged).toBe(false);
    expect(seen().filter((line) => line.startsWith('HEAD'))).toHaveLength(3);

    Object.assign(registry.faults, { status: 429, times: 9, headers: { 'retry-after': '120' } });
    expect(await failureOf(fixture.fetch())).toEqual({
      reason: 'OCIArtifactPullFailed',
      message: `failed to determine artifact digest: registry "${registry.host}" limits the rate of requests (HTTP 429) and asks to be left alone for 120 s: log in with a Secret in spec.secretRef for a higher limit, or ask less often with a longer spec.interval`,
      retryInMs: 120_000,
    });
    Object.assign(registry.faults, { status: 503, times: 2, headers: {} });
    expect((await fixture.fetch()).isUnchanged).toBe(false);
  });

  it('ends a download that breaks off or stalls, and one that is cancelled', async () => {
    await push('latest', {
      layers: [fluxLayer({ 'big.bin': 'x'.repeat(300_000), 'b.bin': String(Math.random()) })],
    });
    fixture.use(url);
    registry.faults.cutAfterBytes = 100;
    expect(await failureOf(fixture.reconcile())).toMatchObject({
      reason: 'OCIArtifactPullFailed',
      message: expect.stringMatching(/failed to pull layer of ".*cut the connection/) as string,
    });
    delete registry.faults.cutAfterBytes;
    registry.faults.stallAfterBytes = 100;
    fixture.use(url, { timeout: '500ms' });
    expect(await failureOf(fixture.reconcile())).toEqual({
      reason: 'OCIArtifactPullFailed',
      message: `"${url}" did not answer in full within 0.5s: the limit is spec.timeout`,
    });
    fixture.use(url, { timeout: '60s' });
    const running = fixture.reconcile();
    setTimeout(() => fixture.abort.abort(new Error('cancelled')), 200);
    await expect(running).rejects.toThrow('cancelled');
  });

  it('says that a registry is away', async () => {
    fixture.use('oci://127.0.0.1:1/team/app', { insecure: true });
    expect(await failureOf(fixture.fetch())).toMatchObject({
      reason: 'OCIArtifactPullFailed',
      message:
        'failed to determine artifact digest: registry "127.0.0.1:1" cannot be reached (ECONNREFUSED): the server refuses connections; check host and port, also those of a proxy',
    });
  });
});

describe.each(['basic', 'token'] as const)('a registry with login by %s', (login) => {
  let registry: TestRegistry;
  let url: string;

  beforeAll(async () => {
    registry = await startTestRegistry({ login });
    await pushTestArtifact(registry, 'team/app', 'latest', await artifactOf(), registryUser);
    url = `oci://${registry.host}/team/app`;
  });
  afterAll(() => registry.close());
  beforeEach(() => (registry.requests.length = 0));

  it('logs in with a docker configuration of any form', async () => {
    const { username, password } = registryUser;
    const auth = Buffer.from(`${username}:${password}`).toString('base64');
    const forms = [
      dockerConfig(registry.host, { auth }),
      dockerConfig(`https://${registry.host}/v1/`, { username, password }),
      dockerConfig(`${registry.host}/team`, { auth }),
      { '.dockercfg': JSON.stringify({ [registry.host]: { auth } }) },
      { username, password },
    ];
    for (const [index, form] of forms.entries()) {
      fixture.secrets[`apps/form-${index}`] = form;
      fixture.use(url, { secretRef: { name: `form-${index}` } });
      expect((await fixture.fetch()).revision).toMatch(/^latest@sha256:/);
    }
    fixture.serviceAccounts['apps/puller'] = ['form-0'];
    fixture.use(url, { serviceAccountName: 'puller' });
    const { archived } = await fixture.reconcile();
    expect(archived.fileCount).toBe(2);
    fixture.report(archived);
    registry.requests.length = 0;
    expect((await fixture.fetch()).isUnchanged).toBe(true);
    expect(registry.requests.map(({ method }) => method)).toEqual(['HEAD']);
  });

  it('says which Secret is wrong, and nothing of its content', async () => {
    const wrong = dockerConfig(registry.host, { username: 'alice', password: 'wrong-pw' });
    fixture.secrets['apps/wrong'] = wrong;
    fixture.use(url, { secretRef: { name: 'wrong' } });
    const refused = await failureOf(fixture.fetch());
    expect(refused).toMatchObject({
      reason: 'AuthenticationFailed',
      message: expect.stringContaining('check Secret "apps/wrong"') as string,
    });
    expect(refused.message).not.toContain('wrong-pw');

    fixture.secrets['apps/other'] = dockerConfig('other.test', { username: 'alice', password: 'pw' });
    fixture.use(url, { secretRef: { name: 'other' } });
    expect(await failureOf(fixture.fetch())).toMatchObject({
      reason: 'AuthenticationFailed',
      message: expect.stringContaining(`no entry of Secret "apps/other" is for "${registry.host}"`) as string,
    });
    fixture.use(url);
    expect(await failureOf(fixture.fetch())).toMatchObject({
      reason: 'AuthenticationFailed',
      message: expect.stringContaining('name a Secret of type "kubernetes.io/dockerconfigjson"') as string,
    });
    fixture.secrets['apps/broken'] = { '.dockerconfigjson': '{"auths": s3cret' };
    fixture.use(url, { secretRef: { name: 'broken' } });
    expect(await failureOf(fixture.fetch())).toEqual({
      reason: 'AuthenticationFailed',
      message: 'Secret "apps/broken" has a key ".dockerconfigjson" that is no JSON',
    });
  });
});

describe('a token server', () => {
  let registry: TestRegistry;
  let url: string;

  beforeAll(async () => {
    registry = await startTestRegistry({ login: 'token' });
    await pushTestArtifact(registry, 'public/app', 'latest', await artifactOf(), registryUser);
    url = `oci://${registry.host}/public/app`;
  });
  afterAll(() => registry.close());

  it('gives tokens to the anonymous for what is public', async () => {
    fixture.use(url);
    expect((await fixture.reconcile()).archived.fileCount).toBe(2);
  });

  it('takes a refresh token', async () => {
    const identitytoken = registry.tokens?.refreshToken ?? '';
    fixture.secrets['apps/refresh'] = dockerConfig(registry.host, { auth: '', identitytoken });
    fixture.use(url, { secretRef: { name: 'refresh' } });
    expect((await fixture.fetch()).revision).toMatch(/^latest@/);
    expect(registry.tokens?.requests.at(-1)).toMatchObject({
      method: 'POST',
      scopes: ['repository:public/app:pull'],
      authorization: undefined,
    });
  });

  it('gets a new token when the one it has is refused', async () => {
    fixture.secrets['apps/login'] = dockerConfig(registry.host, registryUser);
    fixture.use(url, { secretRef: { name: 'login' } });
    await fixture.fetch();
    const before = registry.tokens?.requests.length ?? 0;
    let refusals = 1;
    registry.faults.answer = (request, response) => {
      if (refusals-- <= 0) return false;
      const { realm, service } = registry.tokens ?? {};
      const challenge = `Bearer realm="${realm}",service="${service}",scope="repository:public/app:pull",error="invalid_token"`;
      response.writeHead(401, { 'www-authenticate': challenge }).end();
      return request.method !== '';
    };
    expect((await fixture.fetch()).revision).toMatch(/^latest@/);
    delete registry.faults.answer;
    expect(registry.tokens?.requests.length).toBe(before + 1);
  });

  it('is told about when it is broken', async () => {
    const { tokens } = registry;
    if (!tokens) throw new Error('no token server');
    fixture.secrets['apps/login'] = dockerConfig(registry.host, { ...registryUser, username: 'bob' });
    fixture.use(url, { secretRef: { name: 'login' } });
    expect(await failureOf(fixture.fetch())).toMatchObject({
      reason: 'AuthenticationFailed',
      message: expect.stringMatching(/token server ".*" refused the login \(HTTP 401\): check Secret/) as string,
    });
    tokens.faults.body = 'surprise';
    fixture.secrets['apps/login'] = dockerConfig(registry.host, { ...registryUser, registrytoken: '' });
    fixture.use(`${url}-other`, { secretRef: { name: 'login' } });
    expect(await failureOf(fixture.fetch())).toMatchObject({
      reason: 'OCIArtifactPullFailed',
      message: expect.stringContaining('gave an answer that is no JSON') as string,
    });
    delete tokens.faults.body;
  });
});

describe.each(['server', 'mutual'] as const)('a registry with TLS, %s', (tls) => {
  let registry: TestRegistry;
  let url: string;
  const ca = { 'ca.crt': testPem('ca.crt') };
  const pair = { 'tls.crt': testPem('client.crt'), 'tls.key': testPem('client.key') };

  beforeAll(async () => {
    registry = await startTestRegistry({ tls });
    await pushTestArtifact(registry, 'team/app', 'latest', await artifactOf());
    url = `oci://${registry.host}/team/app`;
  });
  afterAll(() => registry.close());

  it('is read with the CA and the client certificate of spec.certSecretRef', async () => {
    fixture.secrets['apps/tls'] = { ...ca, ...pair };
    fixture.use(url, { certSecretRef: { name: 'tls' } });
    expect((await fixture.reconcile()).archived.fileCount).toBe(2);
  });

  it('is not read without the CA, or with one that is none', async () => {
    fixture.use(url);
    expect(await failureOf(fixture.fetch())).toMatchObject({
      reason: 'OCIArtifactPullFailed',
      message: expect.stringContaining('unknown CA') as string,
    });
    fixture.secrets['apps/tls'] = { 'ca.crt': otherCaPem() };
    fixture.use(url, { certSecretRef: { name: 'tls' } });
    expect((await failureOf(fixture.fetch())).message).toContain('unknown CA');
    fixture.secrets['apps/tls'] = { 'ca.crt': 'nonsense' };
    fixture.use(url, { certSecretRef: { name: 'tls' } });
    expect(await failureOf(fixture.fetch())).toEqual({
      reason: 'AuthenticationFailed',
      message: 'Secret "apps/tls" has a "ca.crt" without a PEM certificate',
    });
  });
});

it('a registry that demands a client certificate says so, and one with any certificate is read with insecure', async () => {
  const [mutual, plain] = await Promise.all([
    startTestRegistry({ tls: 'mutual' }),
    startTestRegistry({ tls: 'server' }),
  ]);
  try {
    fixture.secrets['apps/tls'] = { 'ca.crt': testPem('ca.crt') };
    fixture.use(`oci://${mutual.host}/team/app`, { certSecretRef: { name: 'tls' } });
    expect((await failureOf(fixture.fetch())).message).toContain('client certificate');
    await pushTestArtifact(plain, 'team/app', 'latest', await artifactOf());
    fixture.use(`oci://${plain.host}/team/app`, { insecure: true });
    expect((await fixture.fetch()).revision).toMatch(/^latest@/);
  } finally {
    await Promise.all([mutual.close(), plain.close()]);
  }
});

it('goes through the proxy of spec.proxySecretRef, and says when it refuses', async () => {
  const [registry, proxy] = await Promise.all([startTestRegistry(), startHttpProxy('me:proxy-word')]);
  try {
    await pushTestArtifact(registry, 'team/app', 'latest', await artifactOf());
    fixture.secrets['apps/proxy'] = { address: proxy.url, username: 'me', password: 'proxy-word' };
    fixture.use(`oci://${registry.host}/team/app`, { proxySecretRef: { name: 'proxy' } });
    expect((await fixture.reconcile()).archived.fileCount).toBe(2);
    expect(proxy.requests.some((line) => line.includes(registry.host))).toBe(true);
    fixture.secrets['apps/proxy'] = { address: proxy.url, username: 'me', password: 'wrong-word' };
    const refused = await failureOf(fixture.fetch());
    expect(refused.reason).toBe('AuthenticationFailed');
    expect(refused.message).toContain('check "username" and "password" of the Secret named by spec.proxySecretRef');
    expect(refused.message).not.toContain('wrong-word');
    delete fixture.secrets['apps/proxy'];
    expect(await failureOf(fixture.fetch())).toEqual({
      reason: 'AuthenticationFailed',
      message: 'Secret "apps/proxy" named by spec.proxySecretRef does not exist',
    });
  } finally {
    await Promise.all([registry.close(), proxy.close()]);
  }
});
