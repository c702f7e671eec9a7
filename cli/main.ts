// `continuo`: one file a verb, composed here. kubectl's conventions for flags; exit codes are those of exit.ts.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { withoutBooleanValues } from './boolean-values.ts';
import { register as listArtifacts } from './artifact-list.ts';
import { register as pullArtifact } from './artifact-pull.ts';
import { register as pushArtifact } from './artifact-push.ts';
import { register as tagArtifact } from './artifact-tag.ts';
import { register as build } from './build.ts';
import { register as create } from './create.ts';
import { register as remove } from './delete.ts';
import { register as diff } from './diff.ts';
import { register as down } from './down.ts';
import { register as events } from './events.ts';
import { exitCodeOf, isCommanderError } from './exit.ts';
import { register as exportObjects } from './export.ts';
import { register as get } from './get.ts';
import { register as history } from './history.ts';
import { register as platform } from './platform.ts';
import { register as reconcile } from './reconcile.ts';
import { register as rollback } from './rollback.ts';
import { register as suspend } from './suspend.ts';
import { register as trace } from './trace.ts';
import { register as tree } from './tree.ts';
import { register as up } from './up.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const { version, description } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string;
  description: string;
};

const program = new Command('continuo')
  .description(description)
  .version(version)
  .showHelpAfterError('(see --help)')
  .exitOverride();
const atWork = [
  get,
  reconcile,
  suspend,
  rollback,
  events,
  history,
  diff,
  build,
  tree,
  trace,
  create,
  remove,
  exportObjects,
  pushArtifact,
  pullArtifact,
  listArtifacts,
  tagArtifact,
];
for (const register of [up, down, platform, ...atWork]) register(program);

// A reader that has seen enough (`continuo get | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

try {
  await program.parseAsync(withoutBooleanValues(process.argv.slice(2), program), { from: 'user' });
} catch (error) {
  // Commander has printed its own errors already.
  if (!isCommanderError(error)) console.error(`✗ ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = exitCodeOf(error);
}
