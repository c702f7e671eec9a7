// `npm test`: gets the binaries, then runs every test against the real servers, in two rows. Those that kill servers and
// workers have platforms of their own and wait most of their time: they run beside all others.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ensureBinaries } from './platform/index.ts';

const kubernetes = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kwok'] as const;
const tools = ['kustomize', 'sops', 'helm', 'kubectl', 'temporal', 'flux'] as const;
// A build beside the tests would take the processor that they are timed by.
const servers = ['registry', 'versitygw', 'kustomize-controller', 'source-controller'] as const;
await ensureBinaries([...kubernetes, ...tools, ...servers], {
  report: (line) => console.error(line),
});

const vitest = join(import.meta.dirname, '..', 'node_modules', '.bin', 'vitest');

/** Runs the tests of some projects; gives true when all passed. What runs beside another prints at its end. */
function run(projects: string[], isBeside = false): Promise<boolean> {
  const args = ['run', ...projects.flatMap((project) => ['--project', project]), ...process.argv.slice(2)];
  const child = spawn(vitest, args, {
    stdio: ['ignore', isBeside ? 'pipe' : 'inherit', isBeside ? 'pipe' : 'inherit'],
  });
  const output: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => output.push(chunk));
  return new Promise((resolve) => {
    child.once('error', () => resolve(false));
    child.once('close', (code) => resolve(code === 0));
  }).then((hasPassed) => {
    process.stdout.write(Buffer.concat(output));
    return hasPassed as boolean;
  });
}

const quick = ['unit', 'golden', 'integration', 'replay'];
console.log('► unit, golden, integration and replay, then end to end; beside them what kills servers and workers');
const [shared, own] = await Promise.all([
  run(quick).then(async (hasPassed) => (await run(['e2e'])) && hasPassed),
  run(['faults', 'options'], true),
]);
process.exitCode = shared && own ? 0 : 1;
