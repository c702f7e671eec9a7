// `npm run generate`: writes the CRDs and the reference pages; with `--check` it only tells what is stale.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generatedFiles, staleFiles, writeStaleFiles } from './generate/files.ts';

const root = join(import.meta.dirname, '..');
const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
const files = generatedFiles(version);

if (process.argv.includes('--check')) {
  const stale = await staleFiles(root, files);
  for (const path of stale) console.error(`✗ ${path} is stale: run "npm run generate"`);
  if (stale.length > 0) process.exitCode = 1;
} else {
  for (const path of await writeStaleFiles(root, files)) console.log(`✔ ${path}`);
}
