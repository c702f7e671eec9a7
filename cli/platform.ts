// `continuo platform status|logs`: looks at a local platform without changing it.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { type ComponentName, componentNames } from '../tools/platform/components.ts';
import { createRunner, logPath } from '../tools/platform/runner.ts';

/** Adds the commands. */
export function register(program: Command): void {
  const platform = program.command('platform').description('look at the local platform');
  platform
    .command('status')
    .description('which processes run')
    .option('--data-dir <path>', 'the data directory given to up', '.continuo')
    .action(showStatus);
  platform
    .command('logs')
    .description('the log of one process, or of all')
    .argument('[component]', componentNames.join(', '))
    .option('-f, --follow', 'keep printing what comes')
    .option('-n, --lines <count>', 'how many lines of the past', '100')
    .option('--data-dir <path>', 'the data directory given to up', '.continuo')
    .action(showLogs);
}

function showStatus(flags: { dataDir: string }): void {
  const dataDir = platformDirectory(flags.dataDir);
  const running = createRunner({ dataDir, report: () => undefined }).running();
  console.log(`${'COMPONENT'.padEnd(26)}${'STATUS'.padEnd(10)}${'PID'.padEnd(10)}SINCE`);
  for (const name of componentNames) {
    const record = running[name];
    const status = record ? 'running' : 'stopped';
    console.log(
      `${name.padEnd(26)}${status.padEnd(10)}${String(record?.pid ?? '').padEnd(10)}${record?.startedAt ?? ''}`,
    );
  }
}

async function showLogs(
  component: string | undefined,
  flags: { dataDir: string; follow?: boolean; lines: string },
): Promise<void> {
  const dataDir = platformDirectory(flags.dataDir);
  if (component && !componentNames.includes(component as ComponentName)) {
    throw new Error(`logs not found (NotFound): expected one of ${componentNames.join(', ')}, got "${component}"`);
  }
  const names = component ? [component as ComponentName] : componentNames;
  const files = names.map((name) => logPath(dataDir, name)).filter((path) => existsSync(path));
  if (files.length === 0) throw new Error(`logs not found (NotFound): "${dataDir}" holds none, has "up" run?`);
  const tail = spawn('tail', ['-n', flags.lines, ...(flags.follow ? ['-F'] : []), ...files], { stdio: 'inherit' });
  await new Promise<void>((done, fail) => tail.once('error', fail).once('exit', () => done()));
}

function platformDirectory(dataDir: string): string {
  const path = resolve(dataDir);
  if (existsSync(join(path, 'platform.json'))) return path;
  throw new Error(`platform not found (NotFound): there is none in "${path}", start one with "continuo up"`);
}
