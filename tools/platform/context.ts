// Makes a kubeconfig of one context of the user's own, with every credential inside, for `up --context`.
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Writes the context to `path` (mode 0600). Fails when the user's kubeconfig has no such context. */
export async function writeContextKubeconfig(kubectl: string, context: string, path: string): Promise<void> {
  const args = ['config', 'view', '--raw', '--minify', '--flatten', '--context', context, '-o', 'json'];
  try {
    const { stdout } = await run(kubectl, args);
    const config = JSON.parse(stdout) as Record<string, unknown>;
    await writeFile(path, `${JSON.stringify({ ...config, 'current-context': context }, null, 2)}\n`, { mode: 0o600 });
  } catch (error) {
    const cause = ((error as { stderr?: string }).stderr ?? (error as Error).message).trim();
    throw new Error(`context "${context}" not usable (NotFound): ${cause}; see "kubectl config get-contexts"`);
  }
}
