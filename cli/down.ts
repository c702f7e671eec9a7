// `continuo down`: stops what runs of a local platform and keeps its data.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { componentNames } from '../tools/platform/components.ts';
import { withLock } from '../tools/platform/lock.ts';
import { createRunner } from '../tools/platform/runner.ts';
import { printLine } from './up.ts';

/** Adds the command. */
export function register(program: Command): void {
  program
    .command('down')
    .description('stop the local platform; its data stays, the next up continues with it')
    .option('--data-dir <path>', 'the data directory given to up', '.continuo')
    .action(runDown);
}

async function runDown(flags: { dataDir: string }): Promise<void> {
  const dataDir = resolve(flags.dataDir);
  if (!existsSync(join(dataDir, 'platform.json'))) {
    printLine(`✔ nothing runs: there is no platform in "${flags.dataDir}"`);
    return;
  }
  const onWait = (pid: number): void => printLine(`► waiting for process ${pid}, which starts this platform`);
  await withLock(join(dataDir, 'up.lock'), { onWait }, async () => {
    const runner = createRunner({ dataDir, report: printLine });
    const names = Object.keys(runner.running());
    if (names.length > 0) printLine(`► stopping ${names.join(', ')}`);
    await runner.stop(componentNames);
    printLine(names.length > 0 ? '✔ stopped' : '✔ nothing runs');
  });
}
