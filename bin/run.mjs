#!/usr/bin/env node
// Entry of every npm script. Runs on any Node >= 18 and depends on nothing: it installs the dependencies when they
// are missing, then hands over to Node 24 (the `node` dev dependency), which runs our TypeScript as it is.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');

/** What each script runs; `vitest`, `biome` and other tools are found in node_modules/.bin by name, `node` is Node 24. */
const scripts = {
  start: ['cli/main.ts', 'up'],
  test: ['tools/test.ts'],
  check: ['tools/check.ts'],
  generate: ['tools/generate.ts'],
  bench: ['bench/main.ts'],
};

// .package-lock.json is written last, so an interrupted install is seen as none.
if (!existsSync(join(modules, '.package-lock.json')) || !existsSync(join(modules, '.bin', 'node'))) {
  console.error('► installing dependencies (npm install)');
  // Not `npm ci`: that wants the binary packages of every platform in the lock file, and refuses one that was written
  // where a registry has only some of them. This keeps to the lock file's versions all the same, and leaves it as it is.
  const flags = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = spawnSync('npm', flags, { cwd: root, stdio: ['ignore', 2, 2] });
  if (npm.status !== 0) {
    console.error('✗ npm install failed: see the lines above; is the npm registry reachable?');
    process.exit(npm.status ?? 1);
  }
}

const [name, ...rest] = process.argv.slice(2);
if (!name) {
  console.error(`usage: node bin/run.mjs <${Object.keys(scripts).join('|')}|tool> [args]`);
  process.exit(2);
}
const node = join(modules, '.bin', 'node');
const script = scripts[name] ?? (name === 'node' ? [] : [join('node_modules', '.bin', name)]);
const argv = [...script.slice(0, 1).map((path) => join(root, path)), ...script.slice(1), ...rest];
// Compiled once, also by whatever these processes start.
process.env.NODE_COMPILE_CACHE ??= join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'continuo', 'node');
const child = spawn(node, ['--disable-warning=ExperimentalWarning', ...argv], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, PATH: `${join(modules, '.bin')}:${process.env.PATH}` },
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
