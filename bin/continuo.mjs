#!/usr/bin/env node
// The `continuo` command. From a checkout it runs the TypeScript sources on Node 24, from the published package the
// compiled ones; a Node that is too old hands over to the one in node_modules, or says which version is needed.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

// Compiled once: a start takes a third less, and a worker some 25 MB. Children find it in the environment.
process.env.NODE_COMPILE_CACHE ??= join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'continuo', 'node');
module.enableCompileCache?.(process.env.NODE_COMPILE_CACHE);

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const source = join(root, 'cli', 'main.ts');
const [major, minor] = process.versions.node.split('.').map(Number);
const isRecent = major > 22 || (major === 22 && minor >= 19);
const bundled = join(root, 'node_modules', '.bin', 'node');

if (!existsSync(source)) {
  await import(join(root, 'dist', 'cli', 'main.js'));
} else if (isRecent && existsSync(join(root, 'node_modules'))) {
  await import(source);
} else if (existsSync(bundled)) {
  const args = ['--disable-warning=ExperimentalWarning', source, ...process.argv.slice(2)];
  process.exit(spawnSync(bundled, args, { stdio: 'inherit' }).status ?? 1);
} else {
  const run = spawnSync(process.execPath, [join(root, 'bin', 'run.mjs'), 'node', source, ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  process.exit(run.status ?? 1);
}
