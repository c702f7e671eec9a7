// The text of a file that a flag names.
import { readFile } from 'node:fs/promises';
import { usageError } from './exit.ts';

/** Kubernetes takes no larger Secret. */
const maxFileBytes = 1024 * 1024;

/** Undefined without a path. Throws a usage error that names the flag, and nothing of what is in the file. */
export async function readFlagFile(flag: string, path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const content = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw usageError(`${flag} "${path}" cannot be read (${error.code ?? error.message})`);
  });
  if (content.byteLength <= maxFileBytes) return content.toString('utf8');
  throw usageError(`${flag} "${path}" has ${content.byteLength} bytes: expected ${maxFileBytes} at most`);
}
