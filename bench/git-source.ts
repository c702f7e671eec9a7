// The cost of a large repository through the real worker, beside `git clone --depth 1` and `tar | gzip` of the same
// repository in the same run: until the artifact is there, for a first commit and for one that changes one file.
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeClient } from '../k8s/client.ts';
import { type KubeObject, refOf } from '../k8s/object.ts';
import { cpuSeconds, round } from './measure.ts';

export interface GitBench {
  client: KubeClient;
  namespace: string;
  gitRoot: string;
  gitUrl: string;
  workerPid: number;
}

/** What one repository cost. Seconds are of the wall clock, bytes of memory are those of the worker at its highest. */
export interface GitFigures {
  phase: string;
  seconds: number;
  /** `git clone --depth 1`, then `tar | gzip`. */
  floorSeconds: number;
  ratio: number;
  workerCpuSeconds: number;
  workerPeakMegabytes: number;
  /** From the request until the artifact of a commit that changes one file. */
  oneFileSeconds: number;
  oneFileCpuSeconds: number;
}

/** Measures a repository of so many files and megabytes. */
export async function measureRepository(bench: GitBench, files: number, megabytes: number): Promise<GitFigures> {
  const { client, namespace, workerPid } = bench;
  const name = `git-${megabytes}`;
  const work = mkdtempSync(join(tmpdir(), 'continuo-bench-git-'));
  try {
    const changed = writeFiles(work, files, megabytes * 1e6);
    const push = pusher(bench.gitRoot, name, work);
    const url = `${bench.gitUrl}/${name}.git`;
    let commit = push('first');
    const floorSeconds = floorOf(url);

    writeFileSync(`/proc/${workerPid}/clear_refs`, '5'); // the peak begins anew
    const cpuBefore = cpuSeconds(workerPid);
    const object = await client.create({
      apiVersion: 'source.toolkit.fluxcd.io/v1',
      kind: 'GitRepository',
      metadata: { namespace, name },
      spec: { interval: '1h', timeout: '5m', url, ref: { branch: 'main' } },
    });
    const seconds = await untilArchived(client, object, commit);
    const workerCpuSeconds = round(cpuSeconds(workerPid) - cpuBefore);

    appendFileSync(changed, 'more: yes\n');
    commit = push('one file');
    const cpuBetween = cpuSeconds(workerPid);
    const request = { metadata: { annotations: { 'reconcile.fluxcd.io/requestedAt': new Date().toISOString() } } };
    await client.patch(refOf(object), request, { type: 'merge' });
    const oneFileSeconds = await untilArchived(client, object, commit);
    return {
      phase: `git: ${files} files, ${megabytes} MB`,
      seconds: round(seconds),
      floorSeconds: round(floorSeconds),
      ratio: round(seconds / floorSeconds),
      workerCpuSeconds,
      workerPeakMegabytes: peakMegabytes(workerPid),
      oneFileSeconds: round(oneFileSeconds),
      oneFileCpuSeconds: round(cpuSeconds(workerPid) - cpuBetween),
    };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function untilArchived(client: KubeClient, object: KubeObject, commit: string): Promise<number> {
  const startedAt = performance.now();
  for (;;) {
    const seen = await client.get(refOf(object));
    const { artifact } = (seen?.status ?? {}) as { artifact?: { revision: string } };
    if (artifact?.revision.endsWith(commit)) return (performance.now() - startedAt) / 1000;
    if (performance.now() - startedAt > 300_000) throw new Error(`no artifact of ${commit} after 300 s`);
    await sleep(10);
  }
}

/** What anybody would do by hand. */
function floorOf(url: string): number {
  const directory = mkdtempSync(join(tmpdir(), 'continuo-bench-floor-'));
  try {
    const startedAt = performance.now();
    execFileSync('git', ['clone', '--quiet', '--depth', '1', url, join(directory, 'clone')], { stdio: 'pipe' });
    execFileSync('sh', ['-c', `tar -C clone --exclude=.git -cf - . | gzip > clone.tar.gz`], { cwd: directory });
    return (performance.now() - startedAt) / 1000;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function pusher(gitRoot: string, name: string, work: string): (message: string) => string {
  const bare = join(gitRoot, `${name}.git`);
  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=bench', '-c', 'user.email=bench@example.com', ...args], {
      cwd: work,
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim();
  git('init', '--quiet', '--bare', '--initial-branch=main', bare);
  git('init', '--quiet', '--initial-branch=main');
  return (message) => {
    git('add', '--all');
    git('commit', '--quiet', `--message=${message}`);
    git('push', '--quiet', bare, 'main');
    return git('rev-parse', 'HEAD');
  };
}

/** Text that looks and compresses like manifests, the same in every run. Gives the path of one of the files. */
function writeFiles(root: string, files: number, bytes: number): string {
  let seed = 42;
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const letters = (count: number): string =>
    Array.from({ length: count }, () => String.fromCharCode(97 + Math.floor(random() * 26))).join('');
  const words = Array.from({ length: 600 }, () => letters(3 + Math.floor(random() * 9)));
  const word = (): string => words[Math.floor(random() * words.length)] ?? '';
  let path = '';
  for (let index = 0; index < files; index++) {
    path = join(root, 'apps', word(), `${word()}-${index}.yaml`);
    let text = `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${word()}-${index}\ndata:\n`;
    const size = (bytes / files) * (0.5 + random());
    while (text.length < size) text += `  ${word()}-${word()}: ${word()} ${Math.floor(random() * 1e9).toString(36)}\n`;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  return path;
}

/** The highest resident memory since the last reset. */
function peakMegabytes(pid: number): number {
  const [, kilobytes = '0'] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.round(Number(kilobytes) / 1000);
}
