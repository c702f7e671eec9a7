// The addresses of the local platform of this checkout, so that the CLI works there without sourcing its `env` file.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The variables of `.continuo/env`, as `continuo up` writes it: KUBECONFIG, TEMPORAL_ADDRESS, CONTINUO_UI_URL … */
export type PlatformVariables = Readonly<Record<string, string>>;

/** Reads `.continuo/env` of this folder or the nearest one above; undefined where no platform was started. */
export function findLocalPlatform(from: string = process.cwd()): PlatformVariables | undefined {
  for (let directory = from; ; directory = dirname(directory)) {
    const path = join(directory, '.continuo', 'env');
    if (existsSync(path)) return parseEnvironment(readFileSync(path, 'utf8'));
    if (directory === dirname(directory)) return undefined;
  }
}

/** The variables of lines like `export NAME='value'`; other lines are passed over. */
export function parseEnvironment(text: string): PlatformVariables {
  const variables: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const match = /^export ([A-Z_]+)='((?:[^']|'\\'')*)'$/.exec(line);
    if (match) variables[match[1] as string] = (match[2] as string).replaceAll(`'\\''`, `'`);
  }
  return variables;
}
