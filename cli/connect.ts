// From flags, environment and the local platform to clients. Libraries are loaded when they are first needed, so that
// `--help` and a verb without Temporal stay quick.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { KubeApiError, type KubeClient } from '../k8s/client.ts';
import { CommandError } from './exit.ts';
import type { ClusterFlags, TemporalFlags } from './flags.ts';
import { findLocalPlatform, type PlatformVariables } from './local-platform.ts';

/** Where Temporal is, and what its UI is called. */
export interface TemporalTarget {
  address: string;
  namespace: string;
  uiUrl: string;
}

/** A Temporal client that connects when it is first asked for. */
export interface TemporalAccess extends TemporalTarget {
  /** Throws a {@link CommandError} when the server does not answer within some seconds. */
  client(): Promise<Client>;
  close(): Promise<void>;
}

const temporalConnectMs = 3_000;

/** Runs a verb with a client of the cluster, and closes it. */
export async function withCluster<T>(flags: ClusterFlags, work: (kube: KubeClient) => Promise<T>): Promise<T> {
  const { createKubeClient } = await import('../k8s/kube-client.ts');
  const platform = isUserContext(flags) ? undefined : findLocalPlatform();
  const kubeconfig = flags.kubeconfig ?? (process.env['KUBECONFIG'] ? undefined : platform?.['KUBECONFIG']);
  if (kubeconfig !== undefined && !existsSync(kubeconfig)) {
    throw new CommandError(`kubeconfig not found (NotFound): there is no file "${kubeconfig}"`);
  }
  const isNamed = kubeconfig !== undefined || process.env['KUBECONFIG'] || process.env['KUBERNETES_SERVICE_HOST'];
  if (!isNamed && !existsSync(join(homedir(), '.kube', 'config'))) {
    throw new CommandError(
      'no cluster is named: set KUBECONFIG, give --kubeconfig, or start the local platform with "continuo up"',
    );
  }
  const kube = createKubeClient({ kubeconfig, context: flags.context });
  try {
    return await work(kube);
  } catch (error) {
    const isLocal = kubeconfig !== undefined && kubeconfig === platform?.['KUBECONFIG'];
    if (isLocal && error instanceof KubeApiError && error.status === 0) {
      throw new CommandError(`${error.message}; is the local platform up? Start it with "continuo up"`);
    }
    throw error;
  } finally {
    await kube.close();
  }
}

/** Access to Temporal; nothing is connected before the first call of `client`. */
export function openTemporal(flags: ClusterFlags & TemporalFlags): TemporalAccess {
  const platform = isUserContext(flags) ? undefined : findLocalPlatform();
  const target = temporalTargetOf(flags, process.env, platform);
  let connecting: Promise<Client> | undefined;
  return {
    ...target,
    client: () => (connecting ??= connectTemporal(target)),
    async close() {
      const client = await connecting?.catch(() => undefined);
      await client?.connection.close();
    },
  };
}

/** Flags win over the environment, and that over the local platform. */
export function temporalTargetOf(
  flags: TemporalFlags,
  environment: Readonly<Record<string, string | undefined>>,
  platform: PlatformVariables | undefined,
): TemporalTarget {
  const named = flags.temporalAddress ?? environment['TEMPORAL_ADDRESS'];
  const isLocal = !named || named === platform?.['TEMPORAL_ADDRESS'];
  const address = named || (platform?.['TEMPORAL_ADDRESS'] ?? '127.0.0.1:7233');
  const host = address.replace(/:\d+$/, '');
  return {
    address,
    namespace: flags.temporalNamespace ?? (environment['TEMPORAL_NAMESPACE'] || 'default'),
    uiUrl: environment['CONTINUO_UI_URL'] || (isLocal && platform?.['CONTINUO_UI_URL']) || `http://${host}:8233`,
  };
}

/** A context of the user's own kubeconfig is not the local platform's. */
function isUserContext(flags: ClusterFlags): boolean {
  return flags.context !== undefined && flags.kubeconfig === undefined;
}

async function connectTemporal({ address, namespace }: TemporalTarget): Promise<Client> {
  const { Client, Connection } = await import('@temporalio/client');
  try {
    const connection = await Connection.connect({ address, connectTimeout: temporalConnectMs });
    return new Client({ connection, namespace });
  } catch {
    throw new CommandError(
      `temporal at ${address} did not answer within ${temporalConnectMs / 1000} s: ` +
        'start it, or name another server with --temporal-address',
    );
  }
}

/** The page of one run in Temporal's UI; without a run, the page that leads to the newest one. */
export function uiLink({ uiUrl, namespace }: Omit<TemporalTarget, 'address'>, workflowId: string, runId = ''): string {
  const path = ['namespaces', namespace, 'workflows', workflowId, ...(runId ? [runId, 'history'] : [])];
  return `${uiUrl.replace(/\/+$/, '')}/${path.map(encodeURIComponent).join('/')}`;
}
