// The private directory of one helm process: its kubeconfig, values, chart and plugin. Only this user may read it, and
// what a worker that was killed has left is removed when the next one starts.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { linkOrCopy, makePrivateDirectory } from '../private-directory.ts';
import { processFiles } from './command.ts';
import { postRenderPlugin, postRenderScript } from './run-helm-scripts.ts';
import type { Values } from './values-map.ts';

export interface ProcessDirectoryInput {
  /** Base URL of the API server, or of the worker's way to it. */
  server: string;
  namespace: string;
  /** Path of the packaged chart; it is linked, and never written to. */
  chart?: string;
  values?: Values;
}

export interface ProcessDirectory {
  path: string;
  /** Everything that helm keeps somewhere by default is in the directory, and nothing else is in its environment. */
  environment: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

/** Longer than any action lasts: a directory that is older is nobody's any more. */
export const longestProcessMs = 6 * 60 * 60_000;
const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Makes the directory below `root`, with mode 0700. */
export async function createProcessDirectory(
  root: string,
  input: ProcessDirectoryInput,
  owner?: number,
): Promise<ProcessDirectory> {
  const path = await makePrivateDirectory(root, 'helm', owner);
  const remove = (): Promise<void> => rm(path, { recursive: true, force: true, maxRetries: 3 });
  try {
    const plugin = join(path, 'plugins', processFiles.postRenderer);
    await mkdir(plugin, { recursive: true, mode: 0o700 });
    await writePrivate(join(path, 'kubeconfig'), kubeconfigOf(input));
    await writePrivate(join(path, processFiles.values), writeValuesJson(input.values ?? {}));
    await writePrivate(join(plugin, 'plugin.yaml'), postRenderPlugin);
    await writePrivate(join(plugin, 'post-render.sh'), postRenderScript);
    if (input.chart) await linkOrCopy(input.chart, join(path, processFiles.chart));
    return { path, environment: environmentOf(path, input.namespace), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Values as JSON, which is YAML too. Helm reads every number as a double, so that a bigint may be one. */
export function writeValuesJson(values: Values): string {
  return JSON.stringify(values, (_key, value: unknown) => (typeof value === 'bigint' ? Number(value) : value));
}

function kubeconfigOf({ server, namespace }: ProcessDirectoryInput): string {
  const name = 'release';
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server } }],
    users: [{ name, user: {} }],
    contexts: [{ name, context: { cluster: name, user: name, namespace } }],
    'current-context': name,
  });
}

function environmentOf(path: string, namespace: string): Record<string, string> {
  return {
    PATH: searchPath,
    HOME: path,
    TMPDIR: path,
    LANG: 'C.UTF-8',
    TZ: 'UTC',
    NO_COLOR: '1',
    KUBECONFIG: join(path, 'kubeconfig'),
    // Nowhere: helm writes and reads some forty files for each object otherwise, and the gateway answers faster.
    KUBECACHEDIR: '/dev/null',
    HELM_NAMESPACE: namespace,
    HELM_DRIVER: 'secret',
    HELM_PLUGINS: join(path, 'plugins'),
    HELM_CACHE_HOME: join(path, 'cache'),
    HELM_CONFIG_HOME: join(path, 'config'),
    HELM_DATA_HOME: join(path, 'data'),
    // Flux's defaults for its own client (contract 7).
    HELM_QPS: '50',
    HELM_BURST_LIMIT: '300',
    // Most processes are over before there is anything to collect: 0.03 of 0.13 CPU-s less, for 15 MB more.
    GOGC: '400',
    GOMEMLIMIT: '256MiB',
    GOMAXPROCS: '1',
  };
}

async function writePrivate(path: string, content: string): Promise<void> {
  await writeFile(path, content, { mode: 0o600, flag: 'wx' });
}
