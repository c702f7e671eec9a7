// Kubeconfigs out of Secrets. Whoever may write the Secret is not trusted with the worker: of the text only the current
// context is taken, and of that only fields that say nothing but where and as whom. Nothing of it is ever quoted.
import { parseDocument } from 'yaml';
import { type ClusterAccess, loadClusterAccess } from './kubeconfig.ts';

/** What a stored kubeconfig may do beyond naming an address and credentials. */
export interface StoredKubeconfigRules {
  /** Exec and auth-provider plugins, which run with the rights of the worker's process. */
  isExecAllowed: boolean;
  /** `insecure-skip-tls-verify`, and addresses without TLS. */
  isInsecureTlsAllowed: boolean;
}

/** Far above any real one; a Secret holds at most 1 MiB. */
export const maxKubeconfigBytes = 256 * 1024;

type Fields = Record<string, unknown>;

const clusterFields = [
  'server',
  'certificate-authority-data',
  'tls-server-name',
  'proxy-url',
  'insecure-skip-tls-verify',
] as const;
const userFields = ['token', 'client-certificate-data', 'client-key-data', 'username', 'password', 'as'] as const;
const pluginFields = ['exec', 'auth-provider'] as const;

/** Fields that name a file of the worker, and where its content belongs instead. */
const fileFields: Readonly<Record<string, string>> = {
  'certificate-authority': 'certificate-authority-data',
  'client-certificate': 'client-certificate-data',
  'client-key': 'client-key-data',
  'token-file': 'token',
  tokenFile: 'token',
};

/** The access that a stored kubeconfig gives. Throws an `Error` that says what is wrong with it or not allowed. */
export function accessOfStoredKubeconfig(text: string, rules: StoredKubeconfigRules): ClusterAccess {
  return loadClusterAccess({ kubeconfigText: reduceKubeconfig(text, rules) });
}

/** The kubeconfig of the current context alone, with known fields only, as JSON. Throws as the above. */
export function reduceKubeconfig(text: string, rules: StoredKubeconfigRules): string {
  const config = readFields(text);
  const current = config['current-context'];
  if (typeof current !== 'string' || current === '') throw new Error('kubeconfig has no current-context: set it');
  const context = entryOf(config, 'contexts', current, 'context');
  const cluster = entryOf(config, 'clusters', context.cluster, 'cluster');
  const user = context.user === undefined ? {} : entryOf(config, 'users', context.user, 'user');
  for (const fields of [cluster, user]) refuseFiles(fields);
  const isInsecure = cluster['insecure-skip-tls-verify'] === true;
  checkServer(cluster.server, rules);
  if (isInsecure && !rules.isInsecureTlsAllowed) {
    throw new Error(
      'kubeconfig has "insecure-skip-tls-verify", which this installation does not allow: put the authority into "certificate-authority-data"',
    );
  }
  const plugin = pluginFields.find((field) => user[field] !== undefined && user[field] !== null);
  if (plugin && !rules.isExecAllowed) {
    throw new Error(
      `kubeconfig uses "${plugin}", a program to be run, which this installation does not allow: use a token or a client certificate`,
    );
  }
  if (user['as-groups'] !== undefined) {
    throw new Error('kubeconfig has "as-groups", which is not supported: use the user of spec.serviceAccountName');
  }
  const name = 'stored';
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: pick(cluster, clusterFields) }],
    users: [{ name, user: pick(user, rules.isExecAllowed ? [...userFields, ...pluginFields] : userFields) }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  });
}

function readFields(text: string): Fields {
  if (Buffer.byteLength(text) > maxKubeconfigBytes) {
    throw new Error(`kubeconfig is larger than ${maxKubeconfigBytes / 1024} KiB: keep only the context that is used`);
  }
  // The parser's own messages quote the text.
  const document = parseDocument(text, { logLevel: 'silent' });
  if (document.errors.length > 0) throw new Error('kubeconfig is no YAML');
  const parsed: unknown = document.toJS();
  if (!isFields(parsed)) throw new Error('kubeconfig is no YAML mapping');
  return parsed;
}

/** The entry that the current context leads to. Names stay out of messages: they are of the Secret. */
function entryOf(config: Fields, list: string, name: unknown, field: string): Fields {
  const entries = Array.isArray(config[list]) ? config[list].filter(isFields) : [];
  const found = entries.find((entry) => entry.name === name)?.[field];
  if (isFields(found)) return found;
  throw new Error(`kubeconfig has no entry in "${list}" for its current-context`);
}

function refuseFiles(fields: Fields): void {
  const file = Object.keys(fileFields).find((field) => fields[field] !== undefined && fields[field] !== '');
  if (!file) return;
  throw new Error(
    `kubeconfig names a file in "${file}", which one out of a Secret cannot: put the content into "${fileFields[file]}"`,
  );
}

function checkServer(server: unknown, rules: StoredKubeconfigRules): void {
  const url = typeof server === 'string' ? URL.parse(server) : null;
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
  if (!url || !isHttp || url.username || url.password) {
    throw new Error('kubeconfig has no valid server: expected "https://<host>:<port>"');
  }
  if (url.protocol === 'http:' && !rules.isInsecureTlsAllowed) {
    throw new Error('kubeconfig has a server without TLS, which this installation does not allow: use https');
  }
}

function pick(fields: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(names.filter((name) => fields[name] !== undefined).map((name) => [name, fields[name]]));
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
