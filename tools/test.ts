// `npm test`: gets the binaries, then runs every test against the real servers. The end-to-end tests kill servers and
// workers, so they come last, on a platform of their own.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ensureBinaries } from './platform/index.ts';

const runs = [
  { title: 'unit, golden, integration, replay', projects: ['unit', 'golden', 'integration', 'replay'] },
  { title: 'end to end', projects: ['e2e'] },
];

await ensureBinaries(
  [
    'etcd',
    'kube-apiserver',
    'kube-controller-manager',
    'kube-scheduler',
    'kwok',
    'kustomize',
    'kubectl',
    'temporal',
    'flux',
  ],
  { report: (line) => console.error(line) },
);

const vitest = join(import.meta.dirname, '..', 'node_modules', '.bin', 'vitest');
let failed = 0;
for (const { title, projects } of runs) {
  console.log(`► ${title}`);
  const args = ['run', ...projects.flatMap((project) => ['--project', project]), ...process.argv.slice(2)];
  const run = spawnSync(vitest, args, { stdio: 'inherit' });
  if (run.status !== 0) failed += 1;
}
process.exitCode = failed > 0 ? 1 : 0;
