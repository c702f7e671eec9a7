// `npm test`: gets the binaries, then runs every test against the real servers. The end-to-end tests come last: those
// that kill servers and workers have platforms of their own, wait most of their time, and run beside the others.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ensureBinaries } from './platform/index.ts';

const kubernetes = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kwok'] as const;
await ensureBinaries([...kubernetes, 'kustomize', 'sops', 'helm', 'kubectl', 'temporal', 'flux'], {
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

console.log('► unit, golden, integration, replay');
const first = await run(['unit', 'golden', 'integration', 'replay']);
console.log('► end to end, and beside it the tests that kill servers and workers');
const [shared, faults] = await Promise.all([
  run(['e2e']).then(async (hasPassed) => (await run(['options'])) && hasPassed),
  run(['faults'], true),
]);
process.exitCode = first && shared && faults ? 0 : 1;
