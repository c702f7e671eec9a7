// The CLI as a person or a script uses it: a process, its output, its exit code, and what the cluster is like after.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { workflowIdOf } from '../../workflows/messages.ts';
import { type CliResult, startCli } from './cli-process.ts';
import {
  configMap,
  conditionOf,
  connectCluster,
  createNamespace,
  createRepository,
  eventually,
  gitRepository,
  kustomization,
  statusOf,
  type TestRepository,
} from './harness.ts';

const client = connectCluster();
let namespace: string;
let repository: TestRepository;

const cli = (...args: string[]): Promise<CliResult> => startCli(args).result;
const inNamespace = (...args: string[]): Promise<CliResult> => cli(...args, '-n', namespace);

async function readyKustomization(name: string, revision: string): Promise<void> {
  const ref = { group: 'kustomize.toolkit.fluxcd.io', version: 'v1', kind: 'Kustomization', namespace, name };
  await eventually(`Kustomization/${name} at ${revision}`, async () => {
    const object = await client.get(ref);
    return conditionOf(object, 'Ready')?.status === 'True' && statusOf(object).lastAppliedRevision?.endsWith(revision);
  });
}

beforeAll(async () => {
  namespace = await createNamespace(client, 'cli');
  repository = createRepository(namespace);
  const revision = repository.commit({ 'app/a.yaml': configMap('a', { one: '1' }) });
  const options = { fieldManager: 'test' };
  await client.apply(gitRepository(namespace, 'source', repository.url), options);
  await client.apply(kustomization(namespace, 'app', 'source', { path: './app', wait: true }), options);
  await readyKustomization('app', revision);
});

afterAll(async () => {
  const at = { version: 'v1', namespace };
  await client.delete({ ...at, group: 'kustomize.toolkit.fluxcd.io', kind: 'Kustomization', name: 'app' });
  await client.delete({ ...at, group: 'source.toolkit.fluxcd.io', kind: 'GitRepository', name: 'source' });
  await client.close();
});

describe('continuo get', () => {
  it('lists the objects of a kind by any of its names, with revision and readiness', async () => {
    for (const words of [['ks'], ['kustomizations', 'app'], ['kustomization/app']]) {
      const { code, stdout } = await inNamespace('get', ...words);
      expect(code).toBe(0);
      const [header, row] = stdout.trimEnd().split('\n');
      expect(header).toMatch(/^NAME +REVISION +SUSPENDED +READY +MESSAGE +AGE$/);
      expect(row).toMatch(/^app +main@sha1:[0-9a-f]{8} +False +True +Applied revision: main@sha1:[0-9a-f]{8} +\S+$/);
    }
  });

  it('lists all kinds that have objects when none is named, with no colour codes in a pipe', async () => {
    const { stdout } = await inNamespace('get', '-o', 'wide');
    expect(stdout).toMatch(/gitrepository\/source[^]*\n\n[^]*kustomization\/app/);
    expect(stdout).toContain('GitRepository/source');
    expect(stdout).not.toContain('\u001b');
  });

  it('takes only objects in a state, and flux’s names of flags', async () => {
    const ready = await inNamespace('get', 'ks', '--status-selector=ready=TRUE', '--no-header');
    expect(ready).toMatchObject({ code: 0, stdout: expect.stringMatching(/^app +main@sha1:\w{8} .*\n$/) as string });
    const failed = await inNamespace('get', 'source', 'git', '--status-selector', 'ready=false');
    expect(failed).toMatchObject({
      code: 0,
      stdout: '',
      stderr: expect.stringContaining('no gitrepositories') as string,
    });
    expect((await inNamespace('get', 'ks', '--label-selector=a=b')).stdout).toBe('');
    expect(await inNamespace('get', 'ks', '--status-selector=ready')).toMatchObject({ code: 2, stdout: '' });
  });

  it('gives programs an object or a List without managedFields', async () => {
    const one = JSON.parse((await inNamespace('get', 'ks', 'app', '-o', 'json')).stdout) as object;
    expect(one).toMatchObject({ kind: 'Kustomization', metadata: { name: 'app' }, status: { observedGeneration: 1 } });
    expect(one).not.toHaveProperty('metadata.managedFields');
    const all = JSON.parse((await inNamespace('get', 'ks', '-o', 'json')).stdout) as object;
    expect(all).toMatchObject({ kind: 'List', items: [{ metadata: { name: 'app' } }] });
    const names = (await inNamespace('get', 'ks', '-o', 'name')).stdout;
    expect(names).toBe('kustomization.kustomize.toolkit.fluxcd.io/app\n');
  });

  it('ends with a code that scripts can use, and never with a stack trace', async () => {
    const missing = await inNamespace('get', 'ks', 'nope');
    expect(missing).toMatchObject({ code: 1, stdout: '' });
    expect(missing.stderr).toBe(`✗ Kustomization/${namespace}/nope not found (NotFound): see "continuo get ks -A"\n`);
    expect(await cli('get', 'nonsense')).toMatchObject({ code: 2, stdout: '' });
    expect(await cli('get', '--nonsense')).toMatchObject({ code: 2, stdout: '' });
    const away = await startCli(['get', 'ks', '--kubeconfig', '/nowhere']).result;
    expect(away).toMatchObject({ code: 1, stderr: '✗ kubeconfig not found (NotFound): there is no file "/nowhere"\n' });
  });

  it('prints changes as they come with --watch, until Ctrl-C', async () => {
    const watch = startCli(['get', 'ks', '--watch', '-n', namespace]);
    await eventually('the first list', () => /app .* True /.test(watch.output()));
    const revision = repository.commit({ 'app/a.yaml': configMap('a', { one: 'watched' }) });
    await inNamespace('reconcile', 'source', 'git', 'source');
    await eventually('the new revision', () =>
      watch.output().includes(`Applied revision: main@sha1:${revision.slice(0, 8)}`),
    );
    watch.interrupt();
    expect(await watch.result).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('continuo reconcile', () => {
  it('brings a new commit with --with-source, and tells what changed and the result', async () => {
    const revision = repository.commit({ 'app/b.yaml': configMap('b', { two: '2' }) });
    const { code, stdout } = await inNamespace('reconcile', 'ks', 'app', '--with-source');
    expect(code).toBe(0);
    const short = `main@sha1:${revision.slice(0, 8)}`;
    expect(stdout).toContain(`► GitRepository/${namespace}/source: reconcile requested`);
    expect(stdout).toContain(`✔ GitRepository/${namespace}/source is ready: stored artifact for revision '${short}'`);
    expect(stdout).toContain(`✔ Kustomization/${namespace}/app is ready: Applied revision: ${short}`);
    const created = await client.get({ group: '', version: 'v1', kind: 'ConfigMap', namespace, name: 'b' });
    expect(created).toMatchObject({ data: { two: '2' } });
  });

  it('fails with the reason when the object is not ready after it', async () => {
    repository.commit({ 'app/broken.yaml': 'kind: [' });
    const failed = await inNamespace('reconcile', 'ks', 'app', '--with-source');
    repository.commit({ 'app/broken.yaml': null });
    const healed = await inNamespace('reconcile', 'ks', 'app', '--with-source');
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(
      new RegExp(`^✗ Kustomization/${namespace}/app is not ready \\(BuildFailed\\): .+\\n$`),
    );
    expect(healed.code).toBe(0);
  });

  it('follows by the conditions when Temporal cannot be reached', async () => {
    const { code, stdout } = await inNamespace('reconcile', 'ks', 'app', '--temporal-address', '127.0.0.1:1');
    expect(code).toBe(0);
    expect(stdout).toContain('temporal at 127.0.0.1:1 did not answer');
    expect(stdout).toContain(`✔ Kustomization/${namespace}/app is ready`);
  });

  it('says that the time is over with an exit code of its own, and leaves the reconcile alone', async () => {
    expect(await inNamespace('reconcile', 'ks', 'app', '--timeout', '1ms')).toMatchObject({ code: 3 });
    expect(await inNamespace('reconcile', 'ks', 'app', '--timeout', 'soon')).toMatchObject({ code: 2 });
  });

  it('refuses kinds that this version does not reconcile', async () => {
    const policy = {
      apiVersion: 'image.toolkit.fluxcd.io/v1',
      kind: 'ImagePolicy',
      metadata: { name: 'app', namespace },
      spec: { imageRepositoryRef: { name: 'app' }, policy: { alphabetical: {} } },
    };
    await client.apply(policy, { fieldManager: 'test' });
    const { code, stderr } = await inNamespace('reconcile', 'imgpol', 'app');
    expect(code).toBe(1);
    expect(stderr).toContain('this version of Continuo does not reconcile a ImagePolicy yet');
  });
});

describe('continuo suspend and resume', () => {
  it('stops reconciling, refuses a reconcile meanwhile, and waits until all is ready again', async () => {
    const suspended = await inNamespace('suspend', 'ks', 'app');
    const refused = await inNamespace('reconcile', 'ks', 'app');
    const listed = await inNamespace('get', 'ks', 'app');
    const resumed = await inNamespace('resume', 'ks', '--all');
    expect(suspended).toMatchObject({ code: 0, stdout: `✔ Kustomization/${namespace}/app suspended\n` });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`is suspended and not reconciled: resume it first with "continuo resume ks app`);
    expect(listed.stdout).toMatch(/app +\S+ +True +/);
    expect(resumed.code).toBe(0);
    expect(resumed.stdout).toMatch(new RegExp(`✔ Kustomization/${namespace}/app is ready: .*\\n$`));
  });
});

describe('continuo history', () => {
  it('lists the reconciles, newest first, with what woke them, how they ended, what changed and their page', async () => {
    const { code, stdout } = await inNamespace('history', 'ks', 'app', '-o', 'json');
    expect(code).toBe(0);
    const rows = JSON.parse(stdout) as { startedAt: string; outcome: string; trigger: string; link: string }[];
    expect(rows.map((row) => row.startedAt)).toEqual(
      rows
        .map((row) => row.startedAt)
        .sort()
        .reverse(),
    );
    expect(rows).toContainEqual(expect.objectContaining({ outcome: 'Failed', reason: 'BuildFailed' }));
    expect(rows).toContainEqual(
      expect.objectContaining({ outcome: 'Succeeded', changes: expect.objectContaining({ created: 1 }) as unknown }),
    );
    const page = encodeURIComponent(workflowIdOf({ kind: 'Kustomization', namespace, name: 'app' }));
    expect(rows[0]?.link).toMatch(
      new RegExp(`^http://ui.test/namespaces/default/workflows/${page}/[-0-9a-f]+/history$`),
    );
  });

  it('shows as many as are asked for, and says that there are more', async () => {
    const { stdout, stderr } = await inNamespace('history', 'ks', 'app', '--limit', '1', '-o', 'wide');
    expect(stdout.trimEnd().split('\n')).toHaveLength(2);
    expect(stdout).toMatch(/^STARTED +REVISION +TRIGGER +OUTCOME +DURATION +CHANGES +MESSAGE +TEMPORAL UI\n/);
    expect(stderr).toContain('there are older ones');
  });
});

describe('continuo events', () => {
  it('shows those of one object, and of one type', async () => {
    const warnings = await inNamespace('events', '--for', 'ks/app', '--types', 'Warning');
    expect(warnings.stdout).toMatch(/^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n/);
    expect(warnings.stdout).toMatch(/Warning +BuildFailed +kustomization\/app +/);
    expect(warnings.stdout).not.toContain('Normal');
    const all = await inNamespace('events');
    expect(all.stdout).toMatch(/Normal +NewArtifact +gitrepository\/source +/);
  });
});
