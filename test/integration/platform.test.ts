// The local platform itself: what the other integration tests take for granted.
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { searchAttributes } from '../../tools/platform/components.ts';
import { type Platform, startGitServer, startPlatform } from '../../tools/platform/index.ts';

const run = promisify(execFile);
const kubectlPath = (): string => platform.binaries.kubectl ?? 'kubectl';
let platform: Platform;
let work: string;

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'platform-test-'));
  platform = await startPlatform();
}, 60_000);

afterAll(async () => {
  await platform?.stop();
  await rm(work, { recursive: true, force: true });
}, 30_000);

async function kubectl(...args: string[]): Promise<string> {
  const { stdout } = await run(kubectlPath(), ['--kubeconfig', platform.kubeconfigPath, ...args]);
  return stdout;
}

async function apply(manifest: object): Promise<void> {
  const path = join(work, 'manifest.json');
  await writeFile(path, JSON.stringify(manifest));
  await kubectl('apply', '-f', path);
}

function job(name: string, command: string): object {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    spec: {
      backoffLimit: 0,
      template: {
        spec: { restartPolicy: 'Never', containers: [{ name, image: 'none', command: ['sh', '-c', command] }] },
      },
    },
  };
}

function deployment(name: string, labels: Record<string, string>): object {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name, ...labels } }, spec: { containers: [{ name, image: 'none' }] } },
    },
  };
}

test('a deployment becomes available without a kubelet', async () => {
  await apply(deployment('ready', {}));

  await kubectl('wait', 'deployment/ready', '--for=condition=Available', '--timeout=10s');
});

test('a deployment whose pods carry the unready label stays unavailable until the label goes', async () => {
  await apply(deployment('unready', { 'continuo.dev/unready': 'true' }));

  await kubectl('wait', 'deployment/unready', '--for=condition=Available=False', '--timeout=10s');
  await kubectl('wait', 'pod', '-l', 'app=unready', '--for=jsonpath={.status.phase}=Running', '--timeout=10s');
  await kubectl('label', 'pod', '-l', 'app=unready', 'continuo.dev/unready-');
  await kubectl('wait', 'deployment/unready', '--for=condition=Available', '--timeout=10s');
});

test('a job completes, and fails when its command would', async () => {
  await apply(job('good', 'echo done'));
  await apply(job('bad', 'exit 1'));

  await kubectl('wait', 'job/good', '--for=condition=Complete', '--timeout=10s');
  await kubectl('wait', 'job/bad', '--for=condition=Failed', '--timeout=10s');
});

test('the search attributes of our workflows are known to Temporal', async () => {
  const connection = await Connection.connect({ address: platform.temporalAddress });
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace: 'default' });
  await connection.close();

  expect(Object.keys(customAttributes ?? {})).toEqual(expect.arrayContaining([...searchAttributes]));
});

test('what is pushed to the Git server can be cloned from it', async () => {
  const git = async (...args: string[]): Promise<string> => (await run('git', args, { cwd: work })).stdout;
  await git('init', '--quiet', '--bare', '--initial-branch=main', join(platform.gitRoot, 'app.git'));
  await git('init', '--quiet', '--initial-branch=main', 'pushed');
  await writeFile(join(work, 'pushed', 'large.txt'), 'line\n'.repeat(500_000));
  await git('-C', 'pushed', 'add', '.');
  await git('-C', 'pushed', '-c', 'user.name=a', '-c', 'user.email=a@example.com', 'commit', '--quiet', '-m', 'first');
  await git('-C', 'pushed', 'push', '--quiet', `${platform.gitUrl}/app.git`, 'main');
  await git('clone', '--quiet', '--depth=1', `${platform.gitUrl}/app.git`, 'cloned');

  expect(readFileSync(join(work, 'cloned', 'large.txt'), 'utf8')).toBe('line\n'.repeat(500_000));
});

test('a Git server with a login refuses whoever has none', async () => {
  const auth = { username: 'me', password: 'secret' };
  const server = await startGitServer({ root: platform.gitRoot, auth });
  const path = '/app.git/info/refs?service=git-upload-pack';
  const authorization = `Basic ${Buffer.from('me:secret').toString('base64')}`;
  const statuses = [
    (await fetch(`${server.url}${path}`)).status,
    (await fetch(`${server.url}${path}`, { headers: { authorization } })).status,
  ];
  await server.close();

  expect(statuses).toEqual([401, 200]);
});

test('a start that fails leaves no process running', async () => {
  const dataDir = join(work, 'failing');
  process.env['CONTINUO_TEMPORAL'] = '/bin/false';
  const start = startPlatform({ dataDir });

  await expect(start).rejects.toThrow(/^temporal ended before it was ready \(Unavailable\)/);
  delete process.env['CONTINUO_TEMPORAL'];
  expect(existsSync(join(dataDir, 'pids.json'))).toBe(true);
  expect(JSON.parse(readFileSync(join(dataDir, 'pids.json'), 'utf8'))).toEqual({});
}, 60_000);
