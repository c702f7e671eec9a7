// `continuo up`: starts the local platform, or completes one that partly runs, and stays until Ctrl-C unless detached.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { formatCommand, portNames, type PortName } from '../tools/platform/components.ts';
import { planPlatform, type Platform, type PlatformOptions, startPlatform } from '../tools/platform/index.ts';
import { modulePath } from '../tools/platform/package-root.ts';
import { failure } from '../tools/platform/runner.ts';

interface UpFlags {
  detach?: boolean;
  demo: boolean;
  worker: boolean;
  fsync?: boolean;
  dryRun?: boolean;
  dataDir: string;
  context?: string;
  temporalAddress?: string;
}

/** What `cli/demo.ts` exports: pushes a demo repository to the platform and shows how it is reconciled. */
export type RunDemo = (platform: Platform, report: (line: string) => void) => Promise<void>;

/** How often in a row dead processes are started again; a quiet minute starts the count anew. */
const restartLimit = 5;
const quietMs = 60_000;

/** Adds the command. */
export function register(program: Command): void {
  const command = program
    .command('up')
    .description('start the local platform: Kubernetes, Temporal, a Git server and a worker')
    .option('-d, --detach', 'return when everything is ready and leave it running')
    .option('--no-demo', 'start without the demo repository')
    .option('--no-worker', 'start without the Continuo worker')
    .option('--data-dir <path>', 'where state, logs and addresses are kept', '.continuo')
    .option('--context <name>', 'use this context of your kubeconfig; no Kubernetes process is started')
    .option('--temporal-address <host:port>', 'use this Temporal server; none is started')
    .option('--fsync', 'wait for the disk on every write of etcd and Temporal: slower, survives a power cut')
    .option('--dry-run', 'print the commands that would be started, and start nothing')
    .action(runUp);
  for (const name of portNames) {
    command.addOption(
      new Option(`${portFlag(name)} <port>`, `port of ${name}, else one is chosen`).argParser(parsePort),
    );
  }
}

async function runUp(flags: UpFlags & Record<string, unknown>): Promise<void> {
  const options: PlatformOptions & { dataDir: string } = {
    dataDir: resolve(flags.dataDir),
    worker: flags.worker,
    fsync: flags.fsync ?? false,
    ports: portsOf(flags),
    report: printLine,
  };
  if (flags.context) options.context = flags.context;
  if (flags.temporalAddress) options.temporalAddress = flags.temporalAddress;
  if (flags.dryRun) {
    for (const component of await planPlatform(options)) console.log(formatCommand(component));
    return;
  }
  const interrupted = onInterrupt();
  const platform = await startPlatform({ ...options, signal: interrupted });
  try {
    if (flags.demo) await runDemo(platform);
    interrupted.throwIfAborted();
  } catch (error) {
    await platform.stop();
    throw error;
  }
  printAddresses(platform, flags);
  if (!flags.detach) await superviseUntil(interrupted, platform);
}

/** A terminal sends Ctrl-C to the whole group, and npm passes it on as well: what comes so soon is the same one. */
const sameInterruptMs = 1_000;

/** Aborted by the first Ctrl-C; the second one ends the process at once. */
function onInterrupt(): AbortSignal {
  const controller = new AbortController();
  let firstAt = 0;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted && performance.now() - firstAt > sameInterruptMs) process.exit(1);
      firstAt ||= performance.now();
      controller.abort(new Error('up not finished (Interrupted)'));
    });
  }
  return controller.signal;
}

async function runDemo(platform: Platform): Promise<void> {
  const path = modulePath('cli/demo');
  if (!existsSync(path)) {
    printLine('► there is no demo in this version');
    return;
  }
  const demo = (await import(pathToFileURL(path).href)) as { runDemo: RunDemo };
  await demo.runDemo(platform, printLine);
}

/** What dies is reported with its log and started again, a few times; at the end everything is stopped. */
async function superviseUntil(interrupted: AbortSignal, platform: Platform): Promise<void> {
  let restarts = 0;
  let restartedAt = 0;
  while (!interrupted.aborted) {
    await sleep(1_000, undefined, { signal: interrupted }).catch(() => undefined);
    const dead = interrupted.aborted ? [] : platform.dead();
    if (dead.length === 0) continue;
    for (const name of dead) printLine(`✗ ${failure(name, 'has ended', platform.dataDir).message}`);
    restarts = performance.now() - restartedAt > quietMs ? 1 : restarts + 1;
    restartedAt = performance.now();
    if (restarts > restartLimit) {
      printLine(`✗ ${dead.join(', ')}: ended too often, not started again`);
      process.exitCode = 1;
      break;
    }
    await platform.restartDead().catch((error: Error) => printLine(`✗ ${error.message}`));
  }
  printLine('► stopping');
  await platform.stop();
  printLine('✔ stopped');
}

function printAddresses(platform: Platform, flags: UpFlags): void {
  const environment = join(flags.dataDir, 'env');
  const rows: [string, string | undefined][] = [
    ['Kubernetes', `export KUBECONFIG=${platform.kubeconfigPath}`],
    ['Temporal', platform.temporalAddress],
    ['Temporal UI', platform.uiUrl],
    ['Git', `${platform.gitUrl}/<name>.git in ${platform.gitRoot}`],
    ['worker', flags.worker ? platform.workerUrl : undefined],
    ['shell', `. ${environment.startsWith('/') ? environment : `./${environment}`}`],
    [
      'stop',
      flags.detach ? `continuo down${flags.dataDir === '.continuo' ? '' : ` --data-dir ${flags.dataDir}`}` : 'Ctrl-C',
    ],
  ];
  console.log();
  for (const [name, value] of rows) if (value) console.log(`  ${name.padEnd(12)} ${value}`);
  console.log();
}

/** Prints a `►`, `✔` or `✗` line, with colour on a terminal. */
export function printLine(line: string): void {
  const colours: Record<string, number> = { '►': 36, '✔': 32, '✗': 31 };
  const colour = colours[line.slice(0, 1)];
  const isColoured = colour !== undefined && process.stdout.isTTY && !process.env['NO_COLOR'];
  console.log(isColoured ? `\u001b[${colour}m${line.slice(0, 1)}\u001b[0m${line.slice(1)}` : line);
}

/** `temporalUi` → `--port-temporal-ui`. */
function portFlag(name: PortName): string {
  return `--port-${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function portsOf(flags: Record<string, unknown>): Partial<Record<PortName, number>> {
  const ports: Partial<Record<PortName, number>> = {};
  for (const name of portNames) {
    const port = flags[`port${name.slice(0, 1).toUpperCase()}${name.slice(1)}`];
    if (typeof port === 'number') ports[name] = port;
  }
  return ports;
}

function parsePort(value: string): number {
  const port = Number(value);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new InvalidArgumentError(`expected a port from 1 to 65535, got "${value}"`);
}
