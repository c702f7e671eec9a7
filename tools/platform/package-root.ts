// Where this package lies on disk, and how to name one of its own modules as a process to run. From a checkout the
// modules are TypeScript sources, in the published package the compiled ones under `dist`.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(import.meta.url);

/** The directory that holds `package.json`. */
export function packageRoot(): string {
  let directory = dirname(here);
  while (!existsSync(join(directory, 'package.json'))) {
    const parent = dirname(directory);
    if (parent === directory) throw new Error(`package root not found (NotFound): no package.json above "${here}"`);
    directory = parent;
  }
  return directory;
}

/**
 * The file to run for a module of ours, for example `modulePath('workers/main')`: the `.ts` source from a checkout,
 * the `.js` file under `dist` from the published package.
 */
export function modulePath(name: string): string {
  return here.endsWith('.ts') ? join(packageRoot(), `${name}.ts`) : join(packageRoot(), 'dist', `${name}.js`);
}

/** Where downloaded and built binaries are kept: `$XDG_CACHE_HOME/continuo`, by default `~/.cache/continuo`. */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'continuo');
}
