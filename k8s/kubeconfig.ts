// How to reach and authenticate to one API server: a kubeconfig (file or text), or the service account of the pod.
// The library reads the file formats and runs exec plugins; requests are ours (rest.ts).
import type { RequestOptions } from 'node:https';
import type { ConnectionOptions } from 'node:tls';
import { KubeConfig } from './kubeconfig-library.ts';

export interface KubeconfigOptions {
  /** Path of a kubeconfig file; default: `KUBECONFIG`, then `~/.kube/config`, then the pod's service account. */
  kubeconfig?: string;
  /** The kubeconfig itself; wins over `kubeconfig`. One that is not trusted goes through stored-kubeconfig.ts first. */
  kubeconfigText?: string;
  /** Context to use; default: the file's current one. */
  context?: string;
}

/** What one connection and its requests need to be let in. */
export interface Credentials {
  tls: Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'pfx' | 'passphrase' | 'servername' | 'rejectUnauthorized'>;
  headers: Record<string, string>;
}

/** One cluster's address and its credentials, which may change with time. */
export interface ClusterAccess {
  /** Base URL of the API server without a slash at its end. */
  server: string;
  proxyUrl?: string;
  /** True when the credentials can expire, so that they are asked for again. */
  isRenewable: boolean;
  credentials(): Promise<Credentials>;
}

/** Loads the access to a cluster. Throws an `Error` that says which file or context is wrong. */
export function loadClusterAccess(options: KubeconfigOptions = {}): ClusterAccess {
  const config = readConfig(options);
  if (options.context) {
    if (!config.getContextObject(options.context)) {
      const known = config.getContexts().map((context) => `"${context.name}"`);
      throw new Error(`kubeconfig has no context "${options.context}"; it has ${known.join(', ') || 'none'}`);
    }
    config.setCurrentContext(options.context);
  }
  const cluster = config.getCurrentCluster();
  if (!cluster?.server) throw new Error('kubeconfig names no cluster: set current-context or choose a context');
  const user = config.getCurrentUser();
  return {
    server: cluster.server.replace(/\/+$/, ''),
    proxyUrl: cluster.proxyUrl,
    isRenewable: Boolean(user?.exec || user?.authProvider),
    credentials: () => readCredentials(config, user),
  };
}

function readConfig(options: KubeconfigOptions): KubeConfig {
  const config = new KubeConfig();
  try {
    if (options.kubeconfigText !== undefined) config.loadFromString(options.kubeconfigText);
    else if (options.kubeconfig) config.loadFromFile(options.kubeconfig);
    else config.loadFromDefault();
  } catch (cause) {
    // The parser's message can quote the text, which holds credentials: only a file's own error is passed on.
    const code = (cause as NodeJS.ErrnoException).code;
    const file = options.kubeconfig ?? process.env['KUBECONFIG'];
    throw new Error(`kubeconfig ${file ? `"${file}" ` : ''}cannot be read (${code ?? 'malformed'})`);
  }
  return config;
}

async function readCredentials(
  config: KubeConfig,
  user: ReturnType<KubeConfig['getCurrentUser']>,
): Promise<Credentials> {
  const https: RequestOptions = { headers: {} };
  await config.applyToHTTPSOptions(https);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(https.headers ?? {})) {
    if (typeof value === 'string') headers[name.toLowerCase()] = value.trim();
  }
  if (user?.username && !headers.authorization) {
    headers.authorization = `Basic ${Buffer.from(`${user.username}:${user.password ?? ''}`).toString('base64')}`;
  }
  const { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized } = https;
  const tls = { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized };
  return { headers, tls: Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined)) };
}
