// HelmChart from a HelmRepository of type oci: a real registry, charts pushed by the real helm.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { chartFiles, createHelm, type Helm, writeFiles } from '../servers/chart-repository.ts';
import { createHelmFixture, failureOf, type HelmFixture } from '../servers/helm-fixture.ts';
import {
  pushTestArtifact,
  registryUser,
  startTestRegistry,
  tamperWith,
  type TestRegistry,
} from '../servers/registry.ts';

let fixture: HelmFixture;
let registry: TestRegistry;
let directory: string;
let helm: Helm;
const packages = new Map<string, string>();

beforeAll(async () => {
  registry = await startTestRegistry({ login: 'basic' });
  directory = mkdtempSync(join(tmpdir(), 'continuo-helm-oci-'));
  helm = await createHelm(directory);
  const { username, password } = registryUser;
  await helm.online('registry', 'login', registry.host, '--plain-http', '-u', username, '-p', password);
  for (const version of ['1.0.0', '1.1.0', '1.2.0+build.5', '2.0.0-rc.1']) {
    const source = writeFiles(join(directory, version), chartFiles('web', version));
    const told = helm('package', source, '--destination', directory);
    const archive = /saved it to: (.*)$/m.exec(told)?.[1] ?? '';
    packages.set(version, archive);
    await helm.online('push', archive, `oci://${registry.host}/charts`, '--plain-http');
  }
}, 900_000);
afterAll(async () => {
  await registry.close();
  rmSync(directory, { recursive: true, force: true });
});
beforeEach(() => {
  fixture = createHelmFixture();
  for (const key of Object.keys(registry.faults)) delete registry.faults[key as keyof typeof registry.faults];
  fixture.secrets['apps/login'] = registryUser;
  useRepository();
});
afterEach(() => fixture.close());

function useRepository(spec: object = {}): void {
  const url = `oci://${registry.host}/charts`;
  fixture.put('HelmRepository', 'charts', { type: 'oci', url, insecure: true, secretRef: { name: 'login' }, ...spec });
}
const sourceRef = { kind: 'HelmRepository', name: 'charts' };
const use = (spec: object) => fixture.put('HelmChart', 'web', { chart: 'web', version: '*', sourceRef, ...spec });
const reconcile = () => fixture.reconcile('HelmChart', 'web');
const fails = () => failureOf(reconcile());

describe('a chart in a registry', () => {
  it.each([
    ['1.0.0', '1.0.0'],
    ['~1.1', '1.1.0'],
    ['*', '1.2.0+build.5'],
    ['>=2.0.0-0', '2.0.0-rc.1'],
  ])('of the version %s is pulled as it was pushed: %s', async (version, selected) => {
    use({ version });
    const archived = await reconcile();
    if (!archived) throw new Error('nothing was archived');
    expect(archived).toMatchObject({
      conditionReason: 'ChartPullSucceeded',
      message: `pulled 'web' chart with version '${selected}'`,
      artifact: { revision: selected, path: `helmchart/apps/web/web-${selected}.tgz` },
    });
    expect(archived.observed).not.toHaveProperty('observedSourceArtifactRevision');
    expect(readFileSync(fixture.fileOf(archived)).equals(readFileSync(packages.get(selected) ?? ''))).toBe(true);
  });

  it('that is spelled out is not asked for again; of a range the tags are listed', async () => {
    use({ version: '1.0.0' });
    await reconcile();
    registry.requests.length = 0;
    expect(await reconcile()).toBeUndefined();
    expect(registry.requests).toEqual([]);

    use({ version: '1.0.x' });
    await reconcile();
    registry.requests.length = 0;
    expect((await reconcile())?.isNew).toBe(false);
    expect(registry.requests.filter(({ path }) => path.includes('/blobs/'))).toEqual([]);
  });

  it('can have other values, and be a dependency', async () => {
    use({ version: '1.0.0', valuesFiles: ['values.yaml'] });
    expect((await reconcile())?.artifact.revision).toBe('1.0.0+1');
    const dependencies = `dependencies: [{name: web, version: 1.1.x, repository: "oci://${registry.host}/charts"}]\n`;
    await fixture.publishSource('GitRepository', 'app', `main@sha1:${'1'.repeat(40)}`, {
      'Chart.yaml': `apiVersion: v2\nname: parent\nversion: 0.1.0\n${dependencies}`,
    });
    use({ chart: '.', sourceRef: { kind: 'GitRepository', name: 'app' } });
    const archived = await reconcile();
    if (!archived) throw new Error('nothing was archived');
    expect(fixture.read(archived, 'parent/charts/web/Chart.yaml')).toContain('version: 1.1.0\n');
  });

  it('says what is wrong', async () => {
    use({ version: '9.x' });
    expect(await fails()).toEqual({
      reason: 'InvalidChartReference',
      message: expect.stringContaining("no 'web' chart with version matching '9.x' found in the registry") as string,
    });
    use({ version: '9.0.0' });
    expect(await fails()).toEqual({
      reason: 'ChartPullError',
      message: expect.stringMatching(
        /^chart pull error: chart 'web' version '9\.0\.0' in '.*': ".*:9\.0\.0" was not found \(HTTP 404/,
      ),
    });
    use({ chart: 'none' });
    expect(await fails()).toEqual({
      reason: 'ChartPullError',
      message: expect.stringMatching(/^chart pull error: the tags of '.*\/none' cannot be listed: .*check the address/),
    });
    fixture.secrets['apps/login'] = { ...registryUser, password: 'wrong' };
    expect(await fails()).toEqual({
      reason: 'AuthenticationFailed',
      message: expect.stringMatching(/^chart pull error: the tags of .* check Secret "apps\/login"$/),
    });
    useRepository({ secretRef: { name: 'gone' } });
    expect(await fails()).toEqual({
      reason: 'AuthenticationFailed',
      message: 'Secret "apps/gone" named by spec.secretRef does not exist',
    });
    useRepository({ url: 'oci://127.0.0.1:1/charts' });
    expect(await fails()).toEqual({
      reason: 'ChartPullError',
      message: expect.stringContaining('registry "127.0.0.1:1" cannot be reached (ECONNREFUSED)') as string,
    });
  }, 60_000);

  it('that is no chart, or is not what its digest says, is refused', async () => {
    const layers = [{ mediaType: 'text/plain', content: Buffer.from('x') }];
    await pushTestArtifact(registry, 'charts/other', '1.0.0', { layers }, registryUser);
    use({ chart: 'other', version: '1.0.0' });
    expect(await fails()).toMatchObject({
      reason: 'ChartPullError',
      message: expect.stringContaining('is no Helm chart: it has no layer of type') as string,
    });
    const content = readFileSync(packages.get('1.0.0') ?? '');
    const layer = {
      mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip',
      content: Buffer.concat([content, Buffer.from('tail')]),
    };
    await pushTestArtifact(registry, 'charts/tampered', '1.0.0', { layers: [layer] }, registryUser);
    const { createHash } = await import('node:crypto');
    tamperWith(registry, `sha256:${createHash('sha256').update(layer.content).digest('hex')}`);
    use({ chart: 'tampered', version: '1.0.0' });
    expect(await fails()).toEqual({
      reason: 'ChartPullError',
      message: expect.stringContaining('is not what it is meant to be: expected digest "sha256:') as string,
    });
  });

  it('without a signature is not taken when one is asked for', async () => {
    fixture.secrets['apps/keys'] = {
      'cosign.pub':
        '-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8nXRh950IZbRj8Ra/N9sbqOPZrfM\n5/KAQN0/KjHcorm/J5yctVd7iEcnessRQjU917hmKO6JWVGHpDguIyakZA==\n-----END PUBLIC KEY-----\n',
    };
    use({ version: '1.0.0', verify: { provider: 'cosign', secretRef: { name: 'keys' } } });
    const fetched = await fixture.fetch('HelmChart', 'web');
    expect(fetched).toMatchObject({
      needsVerification: true,
      found: { digest: expect.stringMatching(/^sha256:/) as string },
    });
    expect(await failureOf(fixture.verify('HelmChart', 'web', fetched))).toEqual({
      reason: 'ChartVerificationError',
      message: expect.stringContaining('there is no signature, ') as string,
    });
  });
});
