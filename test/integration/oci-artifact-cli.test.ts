// `continuo push|pull|list|tag artifact` and the real flux CLI on one registry: what one pushes the other pulls.
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { ensureBinaries } from '../../tools/platform/index.ts';
import { type RunningCommand, startCommand, startContinuo } from '../servers/command.ts';
import { fluxLayer } from '../servers/flux-artifact.ts';
import { pushTestArtifact, registryUser, startTestRegistry, type TestRegistry } from '../servers/registry.ts';

let registry: TestRegistry;
let flux: string;
let directory: string;
let source: string;
let url: string;
let count = 0;

interface Ran {
  code: number | null;
  printed: string;
}

beforeAll(async () => {
  ({ flux } = await ensureBinaries(['flux']));
  registry = await startTestRegistry({ login: 'basic' });
  directory = mkdtempSync(join(tmpdir(), 'continuo-artifact-'));
  source = join(directory, 'source');
  mkdirSync(join(source, 'apps'), { recursive: true });
  mkdirSync(join(source, '.git'));
  writeFileSync(join(source, 'apps/a.yaml'), 'kind: ConfigMap\n');
  writeFileSync(join(source, 'run.sh'), '#!/bin/sh\n', { mode: 0o755 });
  writeFileSync(join(source, 'logo.png'), 'picture');
  writeFileSync(join(source, '.git/config'), 'secret');
  symlinkSync('apps', join(source, 'link'));
  const { username, password } = registryUser;
  const auth = Buffer.from(`${username}:${password}`).toString('base64');
  mkdirSync(join(directory, 'docker'));
  writeFileSync(join(directory, 'docker/config.json'), JSON.stringify({ auths: { [registry.host]: { auth } } }));
});
afterAll(async () => {
  await registry.close();
  rmSync(directory, { recursive: true, force: true });
});
beforeEach(() => {
  url = `oci://${registry.host}/team/app-${count++}`;
});

function environment(home = 'docker') {
  return { PATH: process.env['PATH'], HOME: directory, DOCKER_CONFIG: join(directory, home) };
}

async function ended({ result }: RunningCommand): Promise<Ran> {
  const { code, stdout, stderr } = await result;
  return { code, printed: stdout + stderr };
}

const clis = {
  continuo: (...args: string[]) => ended(startContinuo(args, environment())),
  flux: (...args: string[]) => ended(startCommand(flux, args, environment())),
};
type Cli = keyof typeof clis;

async function succeed(cli: Cli, ...args: string[]): Promise<string> {
  const { code, printed } = await clis[cli](...args);
  expect({ code, printed: code === 0 ? '' : printed }).toEqual({ code: 0, printed: '' });
  return printed;
}

function outputDirectory(name: string): string {
  const path = join(directory, `${name}-${count}`);
  mkdirSync(path);
  return path;
}

const origin = ['--source=https://git.test/apps', '--revision=main@sha1:abc'];

it.each<[Cli, Cli]>([
  ['continuo', 'flux'],
  ['flux', 'continuo'],
  ['continuo', 'continuo'],
])('what %s pushes, %s pulls', async (pusher, puller) => {
  const pushed = await succeed(
    pusher,
    'push',
    'artifact',
    `${url}:v1.0.0`,
    `--path=${source}`,
    ...origin,
    '--annotations=a.test/b=c',
  );
  const digest = /sha256:[0-9a-f]{64}/.exec(pushed)?.[0] ?? 'none';
  const output = outputDirectory('pulled');
  const pulled = await succeed(puller, 'pull', 'artifact', `${url}:v1.0.0`, `--output=${output}`);
  expect(pulled).toContain(digest);
  expect(pulled).toContain('https://git.test/apps');
  expect(pulled).toContain('main@sha1:abc');
  expect(readdirSync(output, { recursive: true }).sort()).toEqual(['apps', 'apps/a.yaml', 'run.sh']);
  expect(readFileSync(join(output, 'apps/a.yaml'), 'utf8')).toBe('kind: ConfigMap\n');
  expect(statSync(join(output, 'run.sh')).mode & 0o100).toBe(0o100);
  expect(statSync(join(output, 'apps/a.yaml')).mode & 0o111).toBe(0);
});

it('both list and tag the same', async () => {
  await succeed('continuo', 'push', 'artifact', `${url}:v1.0.0`, `--path=${source}`, ...origin);
  await succeed('flux', 'tag', 'artifact', `${url}:v1.0.0`, '--tag=by-flux');
  expect(await succeed('continuo', 'tag', 'artifact', `${url}:v1.0.0`, '--tag=v1.1.0,latest')).toContain(
    `✔ artifact tagged as ${url.slice('oci://'.length)}:v1.1.0`,
  );
  const rows = async (cli: Cli, ...flags: string[]): Promise<string[][]> => {
    const printed = await succeed(cli, 'list', 'artifacts', url, ...flags);
    return printed
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .sort();
  };
  const listed = await rows('continuo');
  expect(listed).toHaveLength(5);
  expect(listed).toEqual(await rows('flux'));
  const versions = await rows('continuo', '--filter-semver=>=1.1.0');
  expect(versions.map(([name]) => name)).toEqual([`${url.slice('oci://'.length)}:v1.1.0`, 'ARTIFACT']);
  expect(versions).toEqual(await rows('flux', '--filter-semver=>=1.1.0'));
});

it('the same content has the same digest with --reproducible, and scripts can read the result', async () => {
  const push = async (tag: string): Promise<Record<string, string>> =>
    JSON.parse(
      await succeed(
        'continuo',
        'push',
        'artifact',
        `${url}:${tag}`,
        `--path=${source}`,
        ...origin,
        '--reproducible',
        '--output=json',
      ),
    ) as Record<string, string>;
  const [first, second] = [await push('a'), await push('b')];
  expect(first).toEqual({
    url: `${url}@${first?.['digest']}`,
    repository: url.slice('oci://'.length),
    tag: 'a',
    digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) as string,
  });
  expect(second?.['digest']).toBe(first?.['digest']);
});

it('both follow symbolic links with --resolve-symlinks, and not without', async () => {
  const pulled = async (pusher: Cli, ...flags: string[]): Promise<string[]> => {
    const tag = `${url}:${pusher}${flags.length}`;
    await succeed(pusher, 'push', 'artifact', tag, `--path=${source}`, ...origin, ...flags);
    const output = outputDirectory(`links-${pusher}-${flags.length}`);
    await succeed('continuo', 'pull', 'artifact', tag, `--output=${output}`);
    return (readdirSync(output, { recursive: true }) as string[]).sort();
  };
  expect(await pulled('continuo')).toEqual(['apps', 'apps/a.yaml', 'run.sh']);
  const followed = ['apps', 'apps/a.yaml', 'link', 'link/a.yaml', 'run.sh'];
  expect(await pulled('continuo', '--resolve-symlinks')).toEqual(followed);
  expect(await pulled('flux', '--resolve-symlinks')).toEqual(followed);

  const circle = join(directory, 'circle');
  mkdirSync(circle);
  symlinkSync('.', join(circle, 'again'));
  expect(
    await clis.continuo('push', 'artifact', `${url}:c`, `--path=${circle}`, ...origin, '--resolve-symlinks'),
  ).toMatchObject({ code: 1, printed: expect.stringContaining('is a link to a directory that it is in') as string });
});

it('what goes wrong is told with the exit code for it', async () => {
  const absent = await clis.continuo('pull', 'artifact', `${url}:none`, `--output=${directory}`);
  expect(absent).toMatchObject({ code: 1, printed: expect.stringContaining('was not found (HTTP 404') as string });
  const secret = await clis.continuo('list', 'artifacts', url, '--creds=alice:wrong-word');
  expect(secret).toMatchObject({
    code: 1,
    printed: expect.stringContaining('check the credentials in --creds') as string,
  });
  expect(secret.printed).not.toContain('wrong-word');
  const anonymous = await ended(startContinuo(['list', 'artifacts', url], environment('none')));
  expect(anonymous.printed).toContain('run "docker login", or give --creds');
  for (const [args, words] of [
    [['push', 'artifact', url, ...origin], '--path is missing'],
    [['push', 'artifact', url, '--path=/nowhere', ...origin], '--path has to be a directory or a file'],
    [['push', 'artifact', url, `--path=${source}`, '--source=x'], '--revision is missing'],
    [['push', 'artifact', 'https://x/y', `--path=${source}`, ...origin], 'expected "oci://<host>/<repository>"'],
    [['pull', 'artifact', url], '--output has to be a directory'],
    [['tag', 'artifact', url], '--tag is missing'],
    [['list', 'artifacts', `${url}:v1`], 'got one with a tag or digest'],
  ] as const) {
    const { code, printed } = await clis.continuo(...args);
    expect({ args, code }).toEqual({ args, code: 2 });
    expect(printed).toContain(words);
  }
});

it('an artifact cannot write outside of the output directory', async () => {
  const { username, password } = registryUser;
  const outside = outputDirectory('outside');
  const output = outputDirectory('output');
  symlinkSync(join(outside, 'target'), join(output, 'a.txt'));
  const login = { username, password };
  await pushTestArtifact(
    registry,
    url.split('/').slice(3).join('/'),
    'v1',
    { layers: [fluxLayer({ 'a.txt': 'x' })] },
    login,
  );
  await succeed('continuo', 'pull', 'artifact', `${url}:v1`, `--output=${output}`);
  expect(readFileSync(join(output, 'a.txt'), 'utf8')).toBe('x');
  expect(readdirSync(outside)).toEqual([]);
});
