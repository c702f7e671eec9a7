// The workflow bundle. Bundling takes seconds, so it is kept beside the data and made anew when a source changes.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, type Logger } from '@temporalio/worker';

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const workflowsDirectory = join(dirname(dirname(fileURLToPath(import.meta.url))), 'workflows');

/** Gives the path of a bundle of `workflows/index`. */
export async function workflowBundle(cacheDirectory: string, logger: Logger): Promise<{ codePath: string }> {
  const codePath = join(cacheDirectory, `workflows-${await digestOfSources()}.js`);
  if (existsSync(codePath)) return { codePath };
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(workflowsDirectory, `index.${extension}`),
    preloadModules: [join(workflowsDirectory, `preload.${extension}`)],
    logger,
  });
  await mkdir(cacheDirectory, { recursive: true });
  const partial = `${codePath}.${process.pid}`;
  await writeFile(partial, code);
  await rename(partial, codePath);
  return { codePath };
}

async function digestOfSources(): Promise<string> {
  const hash = createHash('sha256');
  const { version } = createRequire(import.meta.url)('@temporalio/workflow/package.json') as { version: string };
  hash.update(version);
  const files = await readdir(workflowsDirectory, { recursive: true });
  for (const file of files.filter((name) => name.endsWith(`.${extension}`)).sort()) {
    hash.update(file).update(await readFile(join(workflowsDirectory, file)));
  }
  return hash.digest('hex').slice(0, 16);
}
