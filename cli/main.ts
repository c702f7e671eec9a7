// `continuo`: one file a verb, composed here. kubectl's conventions for flags; exit code 1 for what failed, 2 for usage.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { register as down } from './down.ts';
import { register as platform } from './platform.ts';
import { register as up } from './up.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const { version, description } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string;
  description: string;
};

const program = new Command('continuo').description(description).version(version).showHelpAfterError();
for (const register of [up, down, platform]) register(program);

try {
  await program.parseAsync();
} catch (error) {
  console.error(`✗ ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
