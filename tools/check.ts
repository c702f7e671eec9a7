// `npm run check`: every check in sequence, all of them even when one fails; exit code 1 if any did.
import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { importViolations } from './check/import-direction.ts';
import { matrixProblems } from './check/test-matrix.ts';

const root = join(import.meta.dirname, '..');
const sourceFolders = ['workflows', 'activities', 'k8s', 'workers', 'cli', 'tools'];

/** One check: its output when it failed, or undefined. */
interface Check {
  name: string;
  run(): Promise<string | undefined>;
}

const checks: Check[] = [
  { name: 'types (tsc)', run: () => runTool('tsc', ['--noEmit', '-p', '.']) },
  { name: 'lint (oxlint, type-aware)', run: () => runTool('oxlint', ['--type-aware', '--deny-warnings']) },
  { name: 'import direction', run: checkImportDirection },
  { name: 'matrices of tests', run: checkTestMatrices },
  { name: 'format (biome)', run: () => runTool('biome', ['format', '.', '--reporter=summary']) },
  { name: 'generated files', run: () => runTool('node', ['tools/generate.ts', '--check']) },
];

/** Runs a tool of node_modules/.bin; gives what it printed when it failed. */
async function runTool(name: string, args: string[]): Promise<string | undefined> {
  const child = spawn(join(root, 'node_modules', '.bin', name), args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve) => {
    child.on('error', (error) => resolve(`${name} cannot be started (${error.message}): run "npm ci"`));
    child.on('close', (code) => {
      const output = Buffer.concat(chunks).toString('utf8').trimEnd();
      resolve(code === 0 ? undefined : output || `${name} ended with exit code ${code} and said nothing`);
    });
  });
}

async function checkImportDirection(): Promise<string | undefined> {
  const files = await Promise.all(sourceFolders.map(sourcesIn));
  const violations = importViolations(files.flat());
  return violations.length > 0 ? violations.join('\n') : undefined;
}

async function checkTestMatrices(): Promise<string | undefined> {
  const tests = (await sourcesIn('test')).filter(({ path }) => path.endsWith('.test.ts'));
  const files = new Map(tests.map(({ path, text }) => [path.slice('test/'.length, -'.test.ts'.length), text]));
  const folders = ['integration', 'e2e'];
  const problems = folders.map(async (folder) =>
    matrixProblems(await readFile(join(root, 'test', folder, 'README.md'), 'utf8'), files, folder),
  );
  const all = (await Promise.all(problems)).flat();
  return all.length > 0 ? all.join('\n') : undefined;
}

async function sourcesIn(folder: string): Promise<{ path: string; text: string }[]> {
  const names = await readdir(join(root, folder), { recursive: true });
  const paths = names.filter((name) => name.endsWith('.ts')).map((name) => `${folder}/${name}`);
  return Promise.all(paths.sort().map(async (path) => ({ path, text: await readFile(join(root, path), 'utf8') })));
}

for (const check of checks) {
  const failure = await check.run();
  console.log(`${failure === undefined ? '✔' : '✗'} ${check.name}`);
  if (failure === undefined) continue;
  console.log(failure.replaceAll(/^/gm, '  '));
  process.exitCode = 1;
}
