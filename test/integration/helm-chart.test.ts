// HelmChart to artifact: from a real repository, from files of a GitRepository and a Bucket; no cluster, no Temporal.
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { chartFiles, startChartRepository, type TestChartRepository } from '../servers/chart-repository.ts';
import { fluxLayer } from '../servers/flux-artifact.ts';
import { createHelmFixture, failureOf, type HelmFixture } from '../servers/helm-fixture.ts';

let fixture: HelmFixture;
let server: TestChartRepository;
let locked: TestChartRepository;
const login = { username: 'ann', password: 's3cret' };

beforeAll(async () => {
  server = await startChartRepository();
  for (const version of ['1.0.0', '1.1.0', '1.2.0-rc.1', '2.0.0']) {
    server.add(chartFiles('web', version, { 'prod.yaml': 'replicas: 3\nimage: {pull: always}\n' }));
  }
  locked = await startChartRepository({ login });
  locked.add(chartFiles('database', '4.1.0'));
}, 120_000);
afterAll(async () => {
  await server.close();
  await locked.close();
});
beforeEach(() => {
  fixture = createHelmFixture();
  for (const key of Object.keys(server.faults)) delete server.faults[key as keyof typeof server.faults];
});
afterEach(() => fixture.close());

const helmRepository = { kind: 'HelmRepository', name: 'charts' };
const gitRepository = { kind: 'GitRepository', name: 'app' };
const use = (spec: object) =>
  fixture.put('HelmChart', 'web', {
    chart: 'web',
    version: '*',
    sourceRef: helmRepository,
    reconcileStrategy: 'ChartVersion',
    ...spec,
  });
const reconcile = () => fixture.reconcile('HelmChart', 'web');
const fails = () => failureOf(reconcile());
const archive = async () => {
  const archived = await reconcile();
  if (!archived) throw new Error('nothing was archived');
  return archived;
};

describe('a chart of a HelmRepository', () => {
  beforeEach(async () => {
    fixture.put('HelmRepository', 'charts', { url: server.url });
    await fixture.reconcile('HelmRepository', 'charts');
    server.requests.length = 0;
  });

  it('is the very package of the repository', async () => {
    use({ version: '1.x' });
    const archived = await archive();
    expect(archived).toMatchObject({
      isNew: true,
      message: "pulled 'web' chart with version '1.1.0'",
      conditionMessage: "pulled 'web' chart with version '1.1.0'",
      conditionReason: 'ChartPullSucceeded',
      artifact: { revision: '1.1.0', path: 'helmchart/apps/web/web-1.1.0.tgz' },
      observed: {
        observedChartName: 'web',
        observedSourceArtifactRevision: fixture.object('HelmRepository', 'charts').status?.artifact?.revision,
        url: 'http://artifacts.test/helmchart/apps/web/latest.tar.gz',
      },
    });
    expect(readFileSync(fixture.fileOf(archived)).equals(readFileSync(join(server.directory, 'web-1.1.0.tgz')))).toBe(
      true,
    );
  });

  it.each([
    ['*', '2.0.0'],
    ['1.0.0', '1.0.0'],
    ['1.2.0-rc.1', '1.2.0-rc.1'],
    ['>=1.0.0-0 <2', '1.2.0-rc.1'],
    ['~1.0', '1.0.0'],
  ])('resolves %s to %s', async (version, selected) => {
    use({ version });
    expect((await fixture.fetch('HelmChart', 'web')).revision).toBe(selected);
  });

  it('asks nobody when its source has not moved, and keeps its artifact when the source has other news', async () => {
    use({ version: '1.x' });
    const first = await archive();
    server.requests.length = 0;
    expect(await reconcile()).toBeUndefined();

    server.add(chartFiles('other', '0.1.0'));
    await fixture.reconcile('HelmRepository', 'charts');
    server.requests.length = 0;
    const again = await archive();
    expect(server.requests).toEqual([]);
    expect(again).toMatchObject({ isNew: false, artifact: first.artifact, conditionMessage: first.conditionMessage });
    expect(again.observed['observedSourceArtifactRevision']).not.toBe(first.observed['observedSourceArtifactRevision']);
    expect(await reconcile()).toBeUndefined();

    writeFileSync(fixture.fileOf(again), 'damaged');
    expect((await archive()).artifact.digest).toBe(first.artifact.digest);
  });

  it('says that the index of its repository is lost', async () => {
    const other = createHelmFixture(); // which has not read the index yet
    try {
      other.put('HelmRepository', 'charts', { url: server.url });
      other.object('HelmRepository', 'charts').status = fixture.object('HelmRepository', 'charts').status ?? {};
      other.put('HelmChart', 'web', { chart: 'web', version: '*', sourceRef: helmRepository });
      expect(await failureOf(other.reconcile('HelmChart', 'web'))).toEqual({
        reason: 'ReadOperationFailed',
        message: expect.stringMatching(
          /^the index of HelmRepository 'charts' cannot be read: artifact ".*not found/,
        ) as string,
      });
    } finally {
      other.close();
    }
  });

  it('merges values files in place of its values.yaml and marks the version with the generation', async () => {
    use({ version: '1.1.0' });
    use({
      version: '1.1.0',
      valuesFiles: ['values.yaml', 'missing.yaml', 'prod.yaml'],
      ignoreMissingValuesFiles: true,
    });
    const archived = await archive();
    expect(archived).toMatchObject({
      message: "packaged 'web' chart with version '1.1.0+2' and merged values files [values.yaml prod.yaml]",
      conditionReason: 'ChartPackageSucceeded',
      artifact: { revision: '1.1.0+2', path: 'helmchart/apps/web/web-1.1.0+2.tgz' },
      observed: { observedValuesFiles: ['values.yaml', 'prod.yaml'] },
    });
    expect(fixture.read(archived, 'web/values.yaml')).toBe('image:\n  pull: always\n  tag: 1.1.0\nreplicas: 3\n');
    expect(fixture.read(archived, 'web/Chart.yaml')).toContain('version: 1.1.0+2\n');
    expect(fixture.list(archived)).toEqual([
      'web/',
      'web/Chart.yaml',
      'web/prod.yaml',
      'web/templates/',
      'web/templates/configmap.yaml',
      'web/values.yaml',
    ]);
    expect(await reconcile()).toBeUndefined();

    use({ version: '1.1.0', valuesFiles: ['missing.yaml'] });
    expect(await fails()).toEqual({
      reason: 'ValuesFilesError',
      message:
        "values files merge error: no values file found at path 'missing.yaml'; mend spec.valuesFiles, or set ignoreMissingValuesFiles",
    });
  });

  it('says what is wrong with a reference', async () => {
    use({ chart: 'nope' });
    expect(await fails()).toEqual({
      reason: 'InvalidChartReference',
      message: expect.stringContaining("no chart 'nope' is in the index of the repository: it has ") as string,
    });
    use({ version: '9.x' });
    expect(await fails()).toEqual({
      reason: 'InvalidChartReference',
      message:
        "invalid chart reference: no 'web' chart with version matching '9.x' found in the index: the newest is '2.0.0'",
    });
    use({ version: 'nonsense' });
    expect(await fails()).toEqual({
      reason: 'InvalidChartReference',
      message: expect.stringContaining("chart 'web': ") as string,
    });
    use({ sourceRef: { kind: 'HelmRepository', name: 'gone' } });
    expect(await fails()).toEqual({
      reason: 'SourceUnavailable',
      message: 'failed to get source: HelmRepository "apps/gone" does not exist: create it, or mend spec.sourceRef',
    });
    fixture.put('HelmRepository', 'empty', { url: server.url });
    use({ sourceRef: { kind: 'HelmRepository', name: 'empty' } });
    expect(await fails()).toEqual({
      reason: 'NoSourceArtifact',
      message: "no artifact available for HelmRepository source 'empty'",
    });
  });

  it('is verified by its provenance file, before it is taken', async () => {
    const fixtures = join(import.meta.dirname, '../fixtures/provenance');
    const signed = await startChartRepository();
    try {
      copyFileSync(join(fixtures, 'demo-0.1.0.tgz'), join(signed.directory, 'demo-0.1.0.tgz'));
      signed.helm('repo', 'index', signed.directory);
      fixture.put('HelmRepository', 'signed', { url: signed.url });
      await fixture.reconcile('HelmRepository', 'signed');
      const sourceRef = { kind: 'HelmRepository', name: 'signed' };
      const verified = async (verify: object) => {
        use({ chart: 'demo', version: '0.1.0', sourceRef, verify });
        const fetched = await fixture.fetch('HelmChart', 'web');
        expect(fetched).toMatchObject({ needsVerification: true, found: { digest: expect.any(String) as string } });
        return await fixture.verify('HelmChart', 'web', fetched);
      };
      const check = { provider: 'cosign', secretRef: { name: 'keys' } };
      fixture.secrets['apps/keys'] = { 'release.asc': readFileSync(join(fixtures, 'release.asc'), 'utf8') };
      expect((await failureOf(verified(check))).message).toContain('there is no "demo-0.1.0.tgz.prov" beside it');
      copyFileSync(join(fixtures, 'demo-0.1.0.tgz.prov'), join(signed.directory, 'demo-0.1.0.tgz.prov'));
      expect((await verified(check)).message).toBe('verified signature of version 0.1.0 with key "release.asc"');
      expect((await reconcile())?.artifact.revision).toBe('0.1.0');

      fixture.secrets['apps/keys'] = { 'other.asc': readFileSync(join(fixtures, 'other.asc'), 'utf8') };
      expect((await failureOf(verified(check))).reason).toBe('ChartVerificationError');
      expect(await failureOf(verified({ provider: 'cosign' }))).toEqual({
        reason: 'ChartVerificationError',
        message: expect.stringMatching(/name a Secret with OpenPGP keys in spec\.verify\.secretRef/) as string,
      });
    } finally {
      await signed.close();
    }
  });

  it('refuses a package that is not what the index promises', async () => {
    use({ version: '1.1.0' });
    server.faults.content = { suffix: 'web-1.1.0.tgz', body: readFileSync(join(server.directory, 'web-1.0.0.tgz')) };
    expect(await fails()).toEqual({
      reason: 'ChartPullError',
      message: expect.stringMatching(
        /^chart pull error: chart 'web' version '1\.1\.0' is not what the index promises: expected digest "sha256:\w{64}", got "sha256:\w{64}"$/,
      ) as string,
    });
    server.faults.content = { suffix: 'web-1.1.0.tgz', body: Buffer.alloc(11 * 1024 * 1024) };
    expect((await fails()).message).toContain('is larger than the 10 MiB allowed');
    delete server.faults.content;
    server.faults.cutAfterBytes = 100;
    expect(await fails()).toMatchObject({
      reason: 'ChartPullError',
      message: expect.stringContaining('cut the connection') as string,
    });
    delete server.faults.cutAfterBytes;
    server.faults.status = 404;
    expect(await fails()).toMatchObject({
      reason: 'ChartPullError',
      message: expect.stringMatching(/chart 'web' version '1\.1\.0' was not found \(HTTP 404\)/) as string,
    });
    server.faults.status = 403;
    expect(await fails()).toEqual({
      reason: 'AuthenticationFailed',
      message: expect.stringContaining('access was refused (HTTP 403): it needs credentials: name a Secret') as string,
    });
    delete server.faults.status;
    server.faults.stallAfterBytes = 100;
    fixture.put('HelmRepository', 'charts', { url: server.url, timeout: '300ms' });
    expect(await fails()).toMatchObject({
      reason: 'ChartPullError',
      message: expect.stringContaining(
        'no complete answer within 0.3 s; check the server, or raise spec.timeout',
      ) as string,
    });
  });
});

describe('credentials of a HelmRepository', () => {
  let index: TestChartRepository;
  beforeAll(async () => {
    index = await startChartRepository({ login });
    const packed = index.add(chartFiles('database', '4.2.0'), locked.url);
    copyFileSync(packed, join(locked.directory, 'database-4.2.0.tgz'));
  }, 60_000);
  afterAll(() => index.close());

  async function withRepository(passCredentials: boolean): Promise<void> {
    fixture.secrets['apps/login'] = login;
    fixture.put('HelmRepository', 'charts', { url: index.url, secretRef: { name: 'login' }, passCredentials });
    await fixture.reconcile('HelmRepository', 'charts');
    use({ chart: 'database' });
    locked.requests.length = 0;
  }
  const hadCredentials = () => locked.requests.map(({ authorization }) => authorization !== undefined);

  it('do not go to another host that the index names', async () => {
    await withRepository(false);
    expect(await fails()).toEqual({
      reason: 'AuthenticationFailed',
      message: `chart pull error: chart 'database' version '4.2.0': access was refused (HTTP 401): it is on "${locked.url}/", where credentials are not sent; set spec.passCredentials if that host may have them`,
    });
    expect(hadCredentials()).toEqual([false]);
  });

  it('go there with passCredentials', async () => {
    await withRepository(true);
    expect((await archive()).artifact.revision).toBe('4.2.0');
    expect(hadCredentials()).toEqual([true]);
  });
});

describe('a chart out of the files of a source', () => {
  const revision = `main@sha1:${'abcdef0123456789'.repeat(3).slice(0, 40)}`;
  const files = (more: Record<string, string | Buffer> = {}) => ({
    ...Object.fromEntries(
      Object.entries(chartFiles('web', '1.0.0')).map(([path, text]) => [`charts/web/${path}`, text]),
    ),
    'charts/web/.helmignore': '*.md\n',
    'charts/web/README.md': 'no',
    'env/prod.yaml': 'replicas: 5\n',
    ...more,
  });
  beforeEach(() => {
    use({ chart: './charts/web', sourceRef: gitRepository });
  });

  it('is packaged anew when its version changes, with the strategy Revision for every revision', async () => {
    await fixture.publishSource('GitRepository', 'app', revision, files());
    const first = await archive();
    expect(first).toMatchObject({
      message: "packaged 'web' chart with version '1.0.0'",
      conditionReason: 'ChartPackageSucceeded',
      artifact: { revision: '1.0.0', path: 'helmchart/apps/web/web-1.0.0.tgz' },
      observed: { observedChartName: 'web', observedSourceArtifactRevision: revision },
    });
    expect(fixture.list(first)).toEqual([
      'web/',
      'web/.helmignore',
      'web/Chart.yaml',
      'web/templates/',
      'web/templates/configmap.yaml',
      'web/values.yaml',
    ]);

    await fixture.publishSource(
      'GitRepository',
      'app',
      `main@sha1:${'1'.repeat(40)}`,
      files({ 'charts/web/values.yaml': 'a: 1\n' }),
    );
    expect(await archive()).toMatchObject({ isNew: false, artifact: { digest: first.artifact.digest } });

    use({ chart: 'charts/web', sourceRef: gitRepository, reconcileStrategy: 'Revision' });
    expect((await archive()).artifact.revision).toBe('1.0.0+111111111111');
    use({
      chart: 'charts/web',
      sourceRef: gitRepository,
      reconcileStrategy: 'Revision',
      valuesFiles: ['./env/prod.yaml'],
    });
    const merged = await archive();
    expect(merged.artifact.revision).toBe('1.0.0+111111111111.3');
    expect(merged.message).toContain("'1.0.0+111111111111.3' and merged values files [./env/prod.yaml]");
    expect(fixture.read(merged, 'web/values.yaml')).toBe('replicas: 5\n');
  });

  it('comes from a Bucket as well, and as a package among the files', async () => {
    const archivePath = join(server.directory, 'web-1.1.0.tgz');
    await fixture.publishSource('Bucket', 'files', `sha256:${'2'.repeat(64)}`, {
      'dist/web.tgz': readFileSync(archivePath),
      ...files(),
    });
    use({ chart: 'dist/web.tgz', sourceRef: { kind: 'Bucket', name: 'files' } });
    const pulled = await archive();
    expect(pulled.conditionMessage).toBe("pulled 'web' chart with version '1.1.0'");
    expect(readFileSync(fixture.fileOf(pulled)).equals(readFileSync(archivePath))).toBe(true);
    use({ chart: 'charts/web', sourceRef: { kind: 'Bucket', name: 'files' }, reconcileStrategy: 'Revision' });
    expect((await archive()).artifact.revision).toBe('1.0.0+222222222222');
  });

  it('is the same package whoever makes it', async () => {
    await fixture.publishSource('GitRepository', 'app', revision, files());
    const { digest } = (await archive()).artifact;
    const other = createHelmFixture();
    try {
      other.put('HelmChart', 'web', {
        chart: 'charts/web',
        sourceRef: gitRepository,
        reconcileStrategy: 'ChartVersion',
      });
      await other.publishSource(
        'GitRepository',
        'app',
        revision,
        Object.fromEntries(Object.entries(files()).reverse()),
      );
      expect((await other.reconcile('HelmChart', 'web'))?.artifact.digest).toBe(digest);
    } finally {
      other.close();
    }
  });

  it.each<[string, object, Record<string, string>, string, RegExp]>([
    [
      'a path without anything',
      { chart: 'charts/none' },
      {},
      'InvalidChartReference',
      /nothing is at 'charts\/none' in GitRepository 'app': check spec\.chart$/,
    ],
    [
      'a path without Chart.yaml',
      { chart: 'env' },
      {},
      'InvalidChartReference',
      /'env' in GitRepository 'app' has no Chart\.yaml$/,
    ],
    ['a path that climbs out', { chart: '../../etc' }, {}, 'InvalidChartReference', /nothing is at/],
    [
      'a version that is none',
      { chart: 'charts/web' },
      { 'charts/web/Chart.yaml': 'name: web\nversion: abc\n' },
      'InvalidChartReference',
      /has the version "abc", expected one such as "1\.2\.3"$/,
    ],
    [
      'a name that is a path',
      { chart: 'charts/web' },
      { 'charts/web/Chart.yaml': 'name: ../x\nversion: 1.0.0\n' },
      'InvalidChartReference',
      /cannot be the name of a file$/,
    ],
    [
      'a Chart.yaml that is no YAML',
      { chart: 'charts/web' },
      { 'charts/web/Chart.yaml': 'a: [' },
      'InvalidChartReference',
      /no valid YAML at line/,
    ],
    [
      'values that are no map',
      { chart: 'charts/web', valuesFiles: ['env/list.yaml'] },
      { 'env/list.yaml': '- a\n' },
      'ValuesFilesError',
      /'env\/list\.yaml' cannot be read: the YAML is no map of values$/,
    ],
    [
      'a .helmignore with **',
      { chart: 'charts/web' },
      { 'charts/web/.helmignore': '**/x\n' },
      'InvalidChartReference',
      /Helm knows no "\*\*"$/,
    ],
    [
      'a broken subchart',
      { chart: 'charts/web' },
      { 'charts/web/charts/sub/values.yaml': 'a: 1\n' },
      'ChartPackageError',
      /"charts\/sub": it has no Chart\.yaml$/,
    ],
  ])('refuses %s', async (_title, spec, more, reason, message) => {
    await fixture.publishSource('GitRepository', 'app', revision, files(more));
    use({ sourceRef: gitRepository, ...spec });
    expect(await fails()).toEqual({ reason, message: expect.stringMatching(message) as string });
  });

  it('that would fill the memory is refused: large files, and packages in packages', async () => {
    const five = '0'.repeat(5 * 1024 * 1024);
    const large = Object.fromEntries(Array.from({ length: 21 }, (_, at) => [`charts/web/files/${at}`, five]));
    await fixture.publishSource('GitRepository', 'app', revision, files(large));
    use({ chart: 'charts/web', sourceRef: gitRepository });
    expect(await fails()).toEqual({
      reason: 'InvalidChartReference',
      message: expect.stringContaining('it unpacks to more than the 100 MiB allowed') as string,
    });

    const chart = 'apiVersion: v2\nname: bomb\nversion: 1.0.0\n';
    const bomb = fluxLayer({ 'bomb/Chart.yaml': chart, 'bomb/zeros': five }).content as Buffer;
    const packages = Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`charts/web/charts/b${at}.tgz`, bomb]));
    await fixture.publishSource('GitRepository', 'app', `main@sha1:${'4'.repeat(40)}`, files(packages));
    expect(await fails()).toEqual({
      reason: 'ChartPackageError',
      message: expect.stringMatching(/"charts\/b\d+\.tgz": it unpacks to more than the 100 MiB allowed/) as string,
    });
  });

  describe('with dependencies', () => {
    const dependent = (dependencies: string) => ({
      'charts/web/Chart.yaml': `apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies:\n${dependencies}`,
      'charts/lib/Chart.yaml': 'apiVersion: v2\nname: lib\nversion: 0.3.0\ntype: library\n',
    });

    it('takes them from other directories, from repositories, and with the credentials of a HelmRepository', async () => {
      fixture.secrets['apps/login'] = login;
      fixture.put('HelmRepository', 'locked', { url: `${locked.url}/`, secretRef: { name: 'login' } });
      const dependencies = [
        '- {name: lib, version: 0.x, repository: "file://../lib"}',
        `- {name: web, version: ~1.0, repository: "${server.url}", alias: frontend, condition: frontend.enabled}`,
        `- {name: web, version: 2.0.0, repository: "${server.url}", alias: next}`,
        `- {name: database, version: "*", repository: "${locked.url}"}`,
      ];
      await fixture.publishSource('GitRepository', 'app', revision, files(dependent(`${dependencies.join('\n')}\n`)));
      const archived = await archive();
      expect(fixture.list(archived).filter((path) => path.endsWith('Chart.yaml'))).toEqual([
        'web/Chart.yaml',
        'web/charts/database/Chart.yaml',
        'web/charts/lib/Chart.yaml',
        'web/charts/web-2.0.0/Chart.yaml',
        'web/charts/web/Chart.yaml',
      ]);
      const shown = server.helm('template', 'x', fixture.fileOf(archived), '--set', 'frontend.enabled=false');
      expect(shown.match(/# Source: (.*)/g)).toEqual([
        '# Source: web/charts/database/templates/configmap.yaml',
        '# Source: web/charts/next/templates/configmap.yaml',
        '# Source: web/templates/configmap.yaml',
      ]);
    });

    it('takes the versions of Chart.lock, and refuses one that Chart.yaml has left behind', async () => {
      const asked = dependent(`- {name: web, version: 1.x, repository: "${server.url}"}\n`);
      const lock = (version: string) => ({
        'charts/web/Chart.lock': `dependencies:\n- name: web\n  repository: ${server.url}\n  version: ${version}\ndigest: sha256:x\n`,
      });
      await fixture.publishSource('GitRepository', 'app', revision, files({ ...asked, ...lock('1.0.0') }));
      expect(fixture.read(await archive(), 'web/charts/web/Chart.yaml')).toContain('version: 1.0.0\n');
      await fixture.publishSource(
        'GitRepository',
        'app',
        `main@sha1:${'3'.repeat(40)}`,
        files({ ...asked, ...lock('2.0.0') }),
      );
      use({ chart: 'charts/web', sourceRef: gitRepository });
      expect(await fails()).toEqual({
        reason: 'DependencyBuildError',
        message:
          "dependency build error: Chart.lock is out of sync with Chart.yaml, which asks for 'web' 1.x: the lock has version '2.0.0' of it; run \"helm dependency update\" and commit Chart.lock",
      });
    });

    it('refuses more of them than any chart has, and the same large one many times', async () => {
      const asked = (count: number): string =>
        Array.from(
          { length: count },
          (_, at) => `- {name: lib, version: ">=0.0.${at}", repository: "file://../lib"}\n`,
        ).join('');
      await fixture.publishSource('GitRepository', 'app', revision, files(dependent(asked(101))));
      expect(await fails()).toEqual({
        reason: 'DependencyBuildError',
        message: 'dependency build error: the chart asks for 101 charts, more than the 100 allowed',
      });
      const large = { ...dependent(asked(30)), 'charts/lib/zeros': '0'.repeat(5 * 1024 * 1024) };
      await fixture.publishSource('GitRepository', 'app', `main@sha1:${'5'.repeat(40)}`, files(large));
      expect(await fails()).toEqual({
        reason: 'DependencyBuildError',
        message: 'dependency build error: with its dependencies it unpacks to more than the 100 MiB allowed',
      });
    });

    it.each([
      [
        'a directory that is not there',
        '- {name: lib, version: 1.x, repository: "file://../none"}',
        /failed to add local dependency 'lib' 1\.x: no chart found at 'charts\/none' \(reference '\.\.\/none'\)$/,
      ],
      [
        'a directory out of the source',
        '- {name: lib, version: 1.x, repository: "file://../../../../../etc"}',
        /no chart found at 'etc'/,
      ],
      [
        'a version that is not there',
        '- {name: lib, version: 1.x, repository: "file://../lib"}',
        /has version '0\.3\.0', which the range does not allow$/,
      ],
      [
        'an alias',
        '- {name: lib, version: 1.x, repository: "@stable"}',
        /is an alias, which only exists on one's own machine: name the address$/,
      ],
      [
        'a server that is away',
        '- {name: lib, version: 1.x, repository: "http://127.0.0.1:1"}',
        /failed to add remote dependency 'lib' 1\.x: index of Helm repository "http:\/\/127\.0\.0\.1:1\/" cannot be downloaded \(ECONNREFUSED\)/,
      ],
    ])('refuses %s', async (_title, dependencies, message) => {
      await fixture.publishSource('GitRepository', 'app', revision, files(dependent(`${dependencies}\n`)));
      expect(await fails()).toEqual({
        reason: 'DependencyBuildError',
        message: expect.stringMatching(message) as string,
      });
    });
  });
});
