// Puts the demo's files into a repository on the platform's Git server, once, and keeps a clone to play with.
import { spawn } from 'node:child_process';
import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Platform } from '../../tools/platform/index.ts';
import { packageRoot } from '../../tools/platform/package-root.ts';

/** Where the demo's repository and its clone are. */
export interface DemoRepository {
  url: string;
  /** Folder of the ready clone. */
  clone: string;
  /** True when this call has pushed the first commit. */
  isNew: boolean;
}

const branch = 'main';
/** Nothing of the person's own settings may stand in the way: no signing, no hooks, no templates, no proxy. */
const settings = {
  'user.name': 'Continuo demo',
  'user.email': 'demo@continuo.invalid',
  'commit.gpgsign': 'false',
  'core.hooksPath': '/dev/null',
  'core.autocrlf': 'false',
  'init.templateDir': '',
  'http.proxy': '',
};

/** Pushes the demo's files as `demo.git` unless it has commits already, and makes the clone if it is missing. */
export async function publishDemo(platform: Pick<Platform, 'gitUrl' | 'gitRoot' | 'dataDir'>): Promise<DemoRepository> {
  const bare = join(platform.gitRoot, 'demo.git');
  const url = `${platform.gitUrl}/demo.git`;
  const clone = join(platform.dataDir, 'demo');
  if (!existsSync(bare)) {
    await git(['init', '--quiet', '--bare', bare]);
    await git(['--git-dir', bare, 'symbolic-ref', 'HEAD', `refs/heads/${branch}`]);
  }
  const isNew = (await git(['ls-remote', url, `refs/heads/${branch}`])) === '';
  if (isNew) await pushFirstCommit(url, platform.dataDir);
  if (existsSync(join(clone, '.git'))) {
    // The server may have another port than last time.
    await git(['-C', clone, 'remote', 'set-url', 'origin', url]);
  } else {
    await git(['clone', '--quiet', '--branch', branch, url, clone]);
  }
  await prepareClone(clone, url);
  return { url, clone, isNew };
}

async function pushFirstCommit(url: string, dataDir: string): Promise<void> {
  const work = join(dataDir, 'demo.first');
  await rm(work, { recursive: true, force: true });
  await mkdir(work);
  try {
    await cp(join(packageRoot(), 'cli', 'demo', 'repository'), work, { recursive: true });
    // npm leaves out files of this name when it packs, so it has another one in our package.
    await rename(join(work, 'gitignore'), join(work, '.gitignore'));
    await git(['-C', work, 'init', '--quiet']);
    await git(['-C', work, 'add', '--all']);
    await git(['-C', work, 'commit', '--quiet', '--message', 'Two environments of one app']);
    await git(['-C', work, 'push', '--quiet', url, `HEAD:refs/heads/${branch}`]);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** `git commit` and `git push` work in the clone as they are, also for somebody who has never set up Git. */
async function prepareClone(clone: string, url: string): Promise<void> {
  await git(['-C', clone, 'config', `http.${url}.proxy`, '']);
  for (const name of ['user.name', 'user.email'] as const) {
    const own = await git(['-C', clone, 'config', '--default', '', '--get', name], { hasSettings: false });
    if (own === '') await git(['-C', clone, 'config', name, settings[name]]);
  }
}

/** Runs git and gives its output. Throws an `Error` with what it said. */
async function git(args: string[], { hasSettings = true } = {}): Promise<string> {
  const flags = hasSettings ? Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]) : [];
  const child = spawn('git', [...flags, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, GIT_TERMINAL_PROMPT: '0', GIT_DIR: undefined, GIT_WORK_TREE: undefined },
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-2_000)));
  const code = await new Promise<number | null>((done, fail) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      const cause = error.code === 'ENOENT' ? 'git is not installed: install it and start again' : error.message;
      fail(new Error(`demo repository not made: ${cause}`));
    });
    child.once('close', done);
  });
  if (code === 0) return output.trim();
  const verb = args.find((arg) => /^[a-z]+(-[a-z]+)*$/.test(arg)) ?? '';
  throw new Error(`demo repository not made: git ${verb} failed (${code}): ${errors.trim() || 'it said nothing'}`);
}
