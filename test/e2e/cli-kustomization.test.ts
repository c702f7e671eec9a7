// The verbs of the CLI that are about Kustomizations: make one, look ahead, look into it, trace back, take it away.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { type KubeObject, splitApiVersion } from '../../k8s/object.ts';
import { type CliResult, startCli } from './cli-process.ts';
import {
  configMap,
  connectCluster,
  createNamespace,
  createRepository,
  eventually,
  kustomization,
  statusOf,
  type TestRepository,
} from './harness.ts';
import { ageKey, encrypt } from '../golden/sops-fixture.ts';
import { deployment, manifest } from './scenario.ts';

const client = connectCluster();
let namespace: string;
let repository: TestRepository;
let revision: string;

const cli = (...args: string[]): Promise<CliResult> => startCli([...args, '-n', namespace]).result;
const find = (apiVersion: string, kind: string, name: string): Promise<KubeObject | undefined> =>
  client.get({ ...splitApiVersion(apiVersion), kind, namespace, name });
const ks = 'kustomize.toolkit.fluxcd.io/v1';

/** Changes files of the clone without a commit; null removes. */
function edit(files: Record<string, string | null>): void {
  for (const [path, content] of Object.entries(files)) {
    const file = join(repository.directory, path);
    if (content === null) rmSync(file);
    else {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
    }
  }
}

const secret = (token: string): string => manifest('v1', 'Secret', 'login', { stringData: { token } });

beforeAll(async () => {
  namespace = await createNamespace(client, 'cli-ks');
  repository = createRepository(namespace);
  const app = kustomization(namespace, 'app', 'source', { path: './app' });
  revision = repository.commit({
    'root/app.yaml': JSON.stringify(app),
    'app/settings.yaml': configMap('settings', { one: '1', text: 'a\nb\nc\n' }),
    'app/old.yaml': configMap('old', { one: '1' }),
    'app/login.yaml': secret('hunter2-old'),
    'app/web.yaml': deployment('web'),
  });
});
afterAll(() => client.close());

describe('continuo create', () => {
  it('prints the objects with --export, and makes none', async () => {
    const flags = [
      '--source',
      'GitRepository/source',
      '--path',
      './root',
      '--prune=true',
      '--wait',
      '--interval',
      '10m',
    ];
    const { code, stdout } = await cli('create', 'kustomization', 'root', ...flags, '--export');
    expect(code).toBe(0);
    expect(parse(stdout.replace(/^---\n/, ''))).toEqual({
      apiVersion: ks,
      kind: 'Kustomization',
      metadata: { name: 'root', namespace },
      spec: {
        interval: '10m0s',
        timeout: '2m0s',
        sourceRef: { kind: 'GitRepository', name: 'source' },
        path: './root',
        prune: true,
        wait: true,
      },
    });
    expect(await find(ks, 'Kustomization', 'root')).toBeUndefined();
  });

  it('makes a source and a Kustomization, and waits until each is ready', async () => {
    const git = await cli('create', 'source', 'git', 'source', '--url', repository.url, '--branch', 'main');
    expect(git).toMatchObject({ code: 0, stderr: '' });
    expect(git.stdout).toContain(`✔ GitRepository/${namespace}/source created\n`);
    expect(git.stdout).toContain(`✔ GitRepository/${namespace}/source is ready: stored artifact for revision`);
    const root = await cli('create', 'ks', 'root', '--source', 'source', '--path', './root', '--prune', '--wait');
    expect(root).toMatchObject({ code: 0, stderr: '' });
    expect(root.stdout).toMatch(/✔ Kustomization\/.*\/root is ready: Applied revision: main@sha1:[0-9a-f]{8}\n$/);
    expect(statusOf(await find(ks, 'Kustomization', 'app')).lastAppliedRevision).toBe(`main@sha1:${revision}`);
  });

  it('says what is missing', async () => {
    const [none, bad] = await Promise.all([
      cli('create', 'ks', 'other'),
      cli('create', 'ks', 'Bad_Name', '--source', 'a'),
    ]);
    expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining('--source is missing') as unknown });
    expect(bad).toMatchObject({ code: 2, stderr: expect.stringContaining('invalid name') as unknown });
  });
});

describe('continuo diff', () => {
  it('finds nothing to change in what is as it was applied', async () => {
    const { code, stdout } = await cli('diff', 'kustomization', 'app');
    expect({ code, stdout }).toEqual({ code: 0, stdout: `✔ 4 unchanged (main@sha1:${revision.slice(0, 8)})\n` });
  });

  it('shows what a directory would change, with secrets masked, and changes nothing', async () => {
    edit({
      'app/settings.yaml': configMap('settings', { one: '2', text: 'a\nB\nc\n' }),
      'app/new.yaml': configMap('new', { one: '1' }),
      'app/old.yaml': null,
      'app/login.yaml': secret('hunter2-new'),
    });
    const { code, stdout } = await cli('diff', 'ks', 'app', '--path', join(repository.directory, 'app'));
    expect(code).toBe(1);
    expect(stdout.replaceAll(`/${namespace}/`, '/').split('\n')).toEqual([
      '► ConfigMap/new created',
      '► ConfigMap/settings drifted',
      '    ~ data.one: "1" → "2"',
      '    ~ data.text:',
      '          a',
      '        - b',
      '        + B',
      '          c',
      '► Secret/login drifted',
      '    ~ data.token: "***** (before)" → "***** (after)"',
      '► ConfigMap/old deleted',
      `► 1 created, 2 drifted, 1 deleted, 1 unchanged (${repository.directory}/app)`,
      '',
    ]);
    const asJson = await cli('diff', 'ks', 'app', '--path', join(repository.directory, 'app'), '-o', 'json');
    expect(JSON.parse(asJson.stdout)).toContainEqual({
      kind: 'Secret',
      namespace,
      name: 'login',
      action: 'drifted',
      fields: [{ path: 'data.token', before: '***** (before)', after: '***** (after)' }],
    });
    expect(stdout + asJson.stdout).not.toMatch(/hunter2|aHVudGVyMi/);
    expect(await find('v1', 'ConfigMap', 'settings')).toMatchObject({ data: { one: '1' } });
  });

  it('tells what a build or the server refuses, with an exit code of its own', async () => {
    edit({ 'app/broken.yaml': 'kind: [' });
    const path = join(repository.directory, 'app');
    const broken = await cli('diff', 'ks', 'app', '--path', path);
    edit({ 'app/broken.yaml': manifest('v1', 'Service', 'bad', { spec: { ports: [{ port: 100_000 }] } }) });
    const refused = await cli('diff', 'ks', 'app', '--path', path);
    edit({ 'app/broken.yaml': null });
    expect(broken).toMatchObject({ code: 2, stdout: '' });
    expect(broken.stderr).toMatch(
      /^✗ Kustomization\/.*\/app would fail \(BuildFailed\): kustomize build failed: app\/broken\.yaml:1/,
    );
    expect(refused.code).toBe(2);
    expect(refused.stdout).toContain('ConfigMap/');
    expect(refused.stderr).toMatch(/✗ Service\/.*\/bad dry-run failed \(Invalid\): .*100000/);
    const [nope, source] = await Promise.all([cli('diff', 'ks', 'nope'), cli('diff', 'source', 'git', 'source')]);
    expect([nope.code, source.code]).toEqual([2, 2]);
  });
});

describe('continuo diff of another account or cluster', () => {
  it('looks as the account of the Kustomization, and at the cluster that it names', async () => {
    const kubeconfig = Buffer.from(readFileSync(inject('kubeconfig'))).toString('base64');
    const metadata = { name: 'cluster', namespace };
    await client.create({ apiVersion: 'v1', kind: 'Secret', metadata, data: { value: kubeconfig } });
    const target = { path: './app', targetNamespace: namespace };
    const file = (name: string, spec: object): string => {
      edit({ [`${name}.yaml`]: JSON.stringify(kustomization(namespace, 'app', 'source', { ...target, ...spec })) });
      return join(repository.directory, `${name}.yaml`);
    };
    const [poor, remote, away] = await Promise.all([
      cli('diff', 'ks', 'app', '--kustomization-file', file('poor', { serviceAccountName: 'nobody' })),
      cli(
        'diff',
        'ks',
        'app',
        '--kustomization-file',
        file('remote', { kubeConfig: { secretRef: { name: 'cluster' } } }),
      ),
      cli('diff', 'ks', 'app', '--kustomization-file', file('away', { kubeConfig: { secretRef: { name: 'none' } } })),
    ]);
    expect(poor.code).toBe(2);
    expect(poor.stderr).toMatch(/✗ ConfigMap\/.*\/settings dry-run failed \(Forbidden\): .*cli-ks-.*:nobody/);
    expect(remote).toMatchObject({ code: 0, stderr: '' });
    expect(remote.stdout).toMatch(/^✔ 4 unchanged/);
    expect(away).toMatchObject({ code: 2, stdout: '' });
    expect(away.stderr).toContain(
      `the cluster of spec.kubeConfig cannot be looked at: Secret/${namespace}/none not found`,
    );
  });
});

describe('continuo build', () => {
  const documents = (text: string): KubeObject[] => parseAllDocuments(text).map((one) => one.toJS() as KubeObject);

  it('prints the manifests of the artifact, with Secrets masked unless they are asked for', async () => {
    const [masked, shown] = await Promise.all([cli('build', 'ks', 'app'), cli('build', 'ks', 'app', '--show-secrets')]);
    expect([masked.code, shown.code]).toEqual([0, 0]);
    const built = documents(masked.stdout);
    expect(built.map(({ kind, metadata }) => `${kind}/${metadata.namespace}/${metadata.name}`)).toEqual(
      expect.arrayContaining([`ConfigMap/${namespace}/settings`, `Deployment/${namespace}/web`]),
    );
    expect(built.find(({ kind }) => kind === 'Secret')).toMatchObject({ stringData: { token: '*****' } });
    expect(masked.stdout).not.toContain('hunter2');
    expect(shown.stdout).toContain('hunter2-old');
  });

  it('masks what a Secret brings into other objects by substitution', async () => {
    await client.create({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'variables', namespace },
      stringData: { token: 'hunter2-variable' },
    });
    edit({
      'vars/a.yaml': configMap('vars', { url: 'https://${token}@host', host: '${host}' }),
      'vars.yaml': JSON.stringify(
        kustomization(namespace, 'vars', 'source', {
          path: './vars',
          postBuild: { substitute: { host: 'a.test' }, substituteFrom: [{ kind: 'Secret', name: 'variables' }] },
        }),
      ),
    });
    const place = [
      '--kustomization-file',
      join(repository.directory, 'vars.yaml'),
      '--path',
      join(repository.directory, 'vars'),
    ];
    const { code, stdout } = await cli('build', 'ks', 'vars', ...place);
    expect(code).toBe(0);
    expect(documents(stdout)).toMatchObject([{ data: { url: '*****', host: 'a.test' } }]);
    // The ConfigMap would be new, so nothing of it is shown.
    expect((await cli('diff', 'ks', 'vars', ...place)).stdout).toMatch(/^► ConfigMap\/.*\/vars created\n► 1 created/);

    const away = { KUBECONFIG: '/nowhere', TEMPORAL_ADDRESS: '127.0.0.1:1' };
    const dry = await startCli(['build', 'ks', 'vars', '--dry-run', ...place], away).result;
    expect(dry).toMatchObject({ code: 0, stderr: '' });
    expect(documents(dry.stdout)).toMatchObject([{ data: { url: 'https://@host', host: 'a.test' } }]);
    expect(await startCli(['build', 'ks', 'vars', '--dry-run'], away).result).toMatchObject({ code: 2 });
  });
});

describe('continuo build of encrypted files', () => {
  it('decrypts as a worker does, masks all that was encrypted, and needs no key with --dry-run', async () => {
    const key = ageKey();
    const data = Object.fromEntries(
      Object.entries(key.entries).map(([name, text]) => [name, Buffer.from(text).toString('base64')]),
    );
    await client.create({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'keys', namespace }, data });
    const onlyValues = ['--encrypted-regex', '^(data|stringData)$'];
    const text = (kind: string, rest: object): string =>
      JSON.stringify({ apiVersion: 'v1', kind, metadata: { name: 'enc' }, ...rest });
    edit({
      'enc/secret.yaml': await encrypt(
        text('Secret', { stringData: { token: 'hunter2-token' } }),
        'yaml',
        [key],
        onlyValues,
      ),
      'enc/config.yaml': await encrypt(text('ConfigMap', { data: { url: 'hunter2-url' } }), 'yaml', [key], onlyValues),
      'enc.yaml': JSON.stringify(
        kustomization(namespace, 'enc', 'source', {
          path: './enc',
          decryption: { provider: 'sops', secretRef: { name: 'keys' } },
        }),
      ),
    });
    const at = (path: string): string => join(repository.directory, path);
    const build = ['build', 'ks', 'enc', '--kustomization-file', at('enc.yaml'), '--path', at('enc')];
    const [masked, shown, dry, diff] = await Promise.all([
      cli(...build),
      cli(...build, '--show-secrets'),
      startCli([...build, '--dry-run'], { KUBECONFIG: '/nowhere' }).result,
      cli('diff', ...build.slice(1)),
    ]);
    expect([masked.code, shown.code, dry.code, diff.code]).toEqual([0, 0, 0, 1]);
    const values = (one: CliResult): unknown[] =>
      parseAllDocuments(one.stdout)
        .map((document) => document.toJS() as KubeObject)
        .map((object) => ({ ...(object.data as object), ...(object.stringData as object), sops: object.sops }));
    expect(values(masked)).toEqual(expect.arrayContaining([{ url: '*****' }, { token: '*****' }]));
    expect(values(shown)).toEqual(expect.arrayContaining([{ url: 'hunter2-url' }, { token: 'hunter2-token' }]));
    expect(values(dry)).toEqual(expect.arrayContaining([{ url: '<encrypted>' }, { token: '*****' }]));
    expect(masked.stdout + dry.stdout + diff.stdout + diff.stderr).not.toContain('hunter2');
  });
});

describe('continuo tree', () => {
  it('shows what a Kustomization has applied, and what that has applied', async () => {
    const { code, stdout } = await cli('tree', 'kustomization', 'root');
    expect(code).toBe(0);
    const short = `Ready: Applied revision: main@sha1:${revision.slice(0, 8)}`;
    expect(stdout.replaceAll(`/${namespace}/`, '/').trimEnd().split('\n')).toEqual([
      `Kustomization/root ${short}`,
      `└── Kustomization/app ${short}`,
      '    ├── ConfigMap/old Current',
      '    ├── ConfigMap/settings Current',
      '    ├── Secret/login Current',
      expect.stringMatching(/^ {4}└── Deployment\/web (Current|InProgress: .*)$/),
    ]);
  });

  it('gives programs the same tree, and only Flux kinds with --compact', async () => {
    const { stdout } = await cli('tree', 'ks', 'root', '--compact', '-o', 'json');
    expect(JSON.parse(stdout)).toMatchObject({
      kind: 'Kustomization',
      name: 'root',
      status: 'Ready',
      children: [{ apiVersion: ks, kind: 'Kustomization', namespace, name: 'app', children: [] }],
    });
  });
});

describe('continuo trace', () => {
  it('goes from a pod over its owners to the Kustomization, the source and the workflow', async () => {
    const pods = { group: '', version: 'v1', kind: 'Pod', resource: 'pods', namespaced: true };
    const pod = await eventually(
      'the pod',
      async () => (await client.list(pods, { namespace })).items[0]?.metadata.name,
    );
    const { code, stdout } = await cli('trace', `pod/${pod}`);
    expect(code).toBe(0);
    const page = (kind: string, name: string): string => encodeURIComponent(`${kind}/${namespace}/${name}`);
    expect(stdout).toMatch(new RegExp(`^Object: +Pod/${namespace}/${pod}\n`));
    expect(stdout).toMatch(/Owned by: +ReplicaSet\/\S+, Deployment\/\S+\/web\n---\n/);
    expect(stdout).toMatch(
      new RegExp(`Kustomization: +${namespace}/app\nPath: +./app\nRevision: +main@sha1:${revision}\n`),
    );
    expect(stdout).toMatch(/Status: +Ready: Applied revision/);
    expect(stdout).toContain(`Applied by:        Kustomization/${namespace}/root\n`);
    expect(stdout).toContain(`http://ui.test/namespaces/default/workflows/${page('kustomization', 'app')}\n`);
    expect(stdout).toMatch(
      new RegExp(`---\nGitRepository: +${namespace}/source\nURL: +${repository.url}\nRef: +branch main\n`),
    );
    expect(stdout).toContain(`http://ui.test/namespaces/default/workflows/${page('gitrepository', 'source')}\n`);
  });

  it('takes several objects of any kind, and fails for one that nobody has applied', async () => {
    const [several, byName, stray, unknown] = await Promise.all([
      cli('trace', 'cm/settings', 'ks/app', '-o', 'json'),
      cli('trace', 'settings', '--kind', 'ConfigMap', '--api-version', 'v1'),
      cli('trace', 'namespace', namespace),
      cli('trace', 'nonsense', 'a'),
    ]);
    expect(several.code).toBe(0);
    expect(JSON.parse(several.stdout)).toMatchObject([
      {
        object: `ConfigMap/${namespace}/settings`,
        steps: [{ kind: 'Kustomization', name: 'app' }, { kind: 'GitRepository' }],
      },
      { object: `Kustomization/${namespace}/app`, steps: [{ name: 'root' }, { name: 'source' }] },
    ]);
    expect(byName.code).toBe(0);
    expect(stray.code).toBe(1);
    expect(stray.stderr).toContain(`✗ Namespace/${namespace} not applied by a Kustomization or HelmRelease`);
    expect(unknown.code).toBe(2);
  });
});

describe('continuo export and delete', () => {
  it('exports what can be applied again', async () => {
    const { stdout } = await cli('export', 'ks', '--all');
    const [app, root] = parseAllDocuments(stdout).map((one) => one.toJS() as KubeObject);
    expect([app?.metadata.name, root?.metadata.name]).toEqual(['app', 'root']);
    expect(root).toEqual({
      apiVersion: ks,
      kind: 'Kustomization',
      metadata: { name: 'root', namespace },
      spec: (await find(ks, 'Kustomization', 'root'))?.spec,
    });
    expect(JSON.parse((await cli('export', 'ks', 'root', '-o', 'json')).stdout)).toEqual(root);
    expect(await cli('export', 'ks')).toMatchObject({ code: 2 });
  });

  it('deletes nothing without a terminal to ask on, unless told to be silent', async () => {
    const refused = await cli('delete', 'ks', 'root');
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    expect(refused.stderr).toContain(`Delete Kustomization/${namespace}/root and the 1 object that it has applied?`);
    expect(refused.stderr).toContain('give -s (--silent)');

    const deleted = await cli('delete', 'ks', 'root', '--silent');
    expect(deleted).toMatchObject({ code: 0, stderr: '' });
    expect(deleted.stdout).toBe(
      `► Kustomization/${namespace}/root: deletion requested\n✔ Kustomization/${namespace}/root deleted\n`,
    );
    await eventually('what it has applied to be gone', async () => !(await find('apps/v1', 'Deployment', 'web')));
    expect(await cli('delete', 'source', 'git', 'source', '-s')).toMatchObject({ code: 0 });
    expect(await cli('delete', 'source', 'git', 'source', '-s')).toMatchObject({ code: 1 });
  });
});
