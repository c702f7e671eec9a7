// `npm test`: gets the binaries, then runs every test against the real servers, in two rows. Those that kill servers and
// workers have platforms of their own and wait most of their time: they run beside all others. What failed is told again
// at the end, where it is looked for.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBinaries } from './platform/index.ts';
import { closingLine, readReport, type RowResult, summaryOf } from './test-summary.ts';

const kubernetes = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kwok'] as const;
const tools = ['kustomize', 'sops', 'helm', 'kubectl', 'temporal', 'flux'] as const;
// A build beside the tests would take the processor that they are timed by.
const servers = ['registry', 'versitygw', 'kustomize-controller', 'source-controller'] as const;
await ensureBinaries([...kubernetes, ...tools, ...servers], {
  report: (line) => console.error(line),
});

const vitest = join(import.meta.dirname, '..', 'node_modules', '.bin', 'vitest');
const reports = await mkdtemp(join(tmpdir(), 'continuo-test-'));

/** Runs the tests of some projects. What runs beside another prints at its end. */
async function run(projects: string[], isBeside = false): Promise<RowResult> {
  const report = join(reports, `${projects.join('-')}.json`);
  const args = [
    ...['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
    ...projects.flatMap((project) => ['--project', project]),
    ...process.argv.slice(2),
  ];
  const child = spawn(vitest, args, {
    stdio: ['ignore', isBeside ? 'pipe' : 'inherit', isBeside ? 'pipe' : 'inherit'],
  });
  const output: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => output.push(chunk));
  const exitCode = await new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('close', resolve);
  });
  process.stdout.write(Buffer.concat(output));
  return { projects, exitCode, tests: await readReport(report) };
}

const quick = ['unit', 'golden', 'integration', 'replay'];
console.log('► unit, golden, integration and replay, then end to end; beside them what kills servers and workers');
const rows = await Promise.all([
  (async () => [await run(quick), await run(['e2e'])])(),
  (async () => [await run(['faults', 'options'], true)])(),
]);
await rm(reports, { recursive: true, force: true });
const results = rows.flat();
for (const line of summaryOf(results)) console.log(line);
console.log(closingLine(results));
process.exitCode = results.every(({ exitCode }) => exitCode === 0) ? 0 : 1;
