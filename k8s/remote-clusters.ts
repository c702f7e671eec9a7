// The clusters that objects reconcile with `spec.kubeConfig` (contract 2.1, "impersonation"): one client and one set of
// watch caches for each distinct kubeconfig, opened by its first user and closed some minutes after the last.
import { createHash } from 'node:crypto';
import type { KubeConfigRef } from './api/shared/reference.ts';
import type { KubeClient } from './client.ts';
import { createDiscovery } from './discovery.ts';
import { clientOn } from './kube-client.ts';
import type { ClusterAccess } from './kubeconfig.ts';
import type { KubeObject } from './object.ts';
import { createReach, type Reach } from './reach.ts';
import type { ReferencedObjects } from './referenced-objects.ts';
import { createRest } from './rest.ts';
import { accessOfStoredKubeconfig, type StoredKubeconfigRules } from './stored-kubeconfig.ts';
import { accessOfSettings } from './token-access.ts';
import type { WatchCaches } from './watch-cache.ts';
import { createWatchCaches } from './watch-caches.ts';
import type { WatchCacheLog } from './watched-kind.ts';

/** Why a cluster cannot be used: what the kubeconfig lacks, or that the server is away. */
export class ClusterError extends Error {
  override readonly name = 'ClusterError';
  /** True when only the server is missing, and it may come back by itself. */
  readonly isAway: boolean;
  constructor(message: string, isAway = false, cause?: unknown) {
    super(message, { cause });
    this.isAway = isAway;
  }
}

/** One remote cluster as the user of its kubeconfig. */
export interface RemoteCluster {
  /** Names the kubeconfig's content, and tells nothing of it. */
  readonly id: string;
  /** Fails at once while the server is away. */
  readonly client: KubeClient;
  /** The same for lists and watches that go on for ever: they wait while the server is away. */
  readonly watcher: KubeClient;
  readonly caches: WatchCaches;
  /** Resolves when the server answers (asked at most every few seconds); rejects with {@link ClusterError}. */
  reach(): Promise<void>;
  /** Aborted with the reason as soon as the server is away; another one once it is back. */
  readonly lost: AbortSignal;
  /** Calls the listener each time the server is back after it was away; returns the unsubscriber. */
  onBack(listener: () => void): () => void;
  /** Keeps the cluster open until the returned function is called. */
  hold(): () => void;
  /** Aborted when the cluster is closed. */
  readonly closing: AbortSignal;
}

export interface RemoteClusters {
  /**
   * The cluster of a `kubeConfig` field in a namespace, as its Secret or ConfigMap is now. Whether the server answers is
   * another question. Rejects with {@link ClusterError}, or with the `KubeApiError` of the home cluster.
   */
  open(namespace: string, reference: KubeConfigRef): Promise<RemoteCluster>;
  close(): Promise<void>;
}

export interface RemoteClustersOptions {
  /** The cluster that we run for: it gives tokens for `configMapRef`. */
  home: Pick<KubeClient, 'requestToken'>;
  references: ReferencedObjects;
  rules: StoredKubeconfigRules;
  /** Account for a `configMapRef` that names none; '' for none. */
  defaultServiceAccount: string;
  log?: WatchCacheLog;
  /** An unused cluster is closed after so long. Default 5 minutes. */
  idleMs?: number;
}

interface Entry {
  cluster: RemoteCluster;
  users: number;
  usedAtMs: number;
  close(): Promise<void>;
}

const defaultKeys = ['value', 'value.yaml'] as const;
/** Requests to one remote cluster at a time. */
const maxConnections = 16;

export function createRemoteClusters(options: RemoteClustersOptions): RemoteClusters {
  const { references, idleMs = 300_000 } = options;
  const entries = new Map<string, Entry>();
  const sweeper = setInterval(closeIdle, Math.min(idleMs, 60_000));
  sweeper.unref();

  function closeIdle(): void {
    for (const [id, entry] of entries) {
      if (entry.users > 0 || Date.now() - entry.usedAtMs < idleMs) continue;
      entries.delete(id);
      void entry.close();
    }
  }

  /** The content of a reference, and how to get in with it. */
  async function read(
    namespace: string,
    reference: KubeConfigRef,
  ): Promise<{ content: string; access(): ClusterAccess }> {
    const { secretRef, configMapRef } = reference;
    if (secretRef) {
      const text = await readKubeconfig(namespace, secretRef);
      return { content: text, access: () => accessOfStoredKubeconfig(text, options.rules) };
    }
    const name = configMapRef?.name ?? '';
    const found = await references.get('ConfigMap', namespace, name);
    if (!found) throw missing('ConfigMap', namespace, name, 'spec.kubeConfig.configMapRef');
    const settings = { ...(found.data as Record<string, string> | undefined) };
    const { home, defaultServiceAccount, rules } = options;
    return {
      content: JSON.stringify([namespace, settings]),
      access: () => accessOfSettings(settings, { home, namespace, defaultServiceAccount, rules }),
    };
  }

  async function readKubeconfig(namespace: string, { name, key }: { name: string; key?: string }): Promise<string> {
    const secret = await references.get('Secret', namespace, name);
    if (!secret) throw missing('Secret', namespace, name, 'spec.kubeConfig.secretRef');
    const data = (secret.data ?? {}) as Record<string, string>;
    const keys = key ? [key] : defaultKeys;
    const found = keys.find((one) => data[one]);
    if (found) return Buffer.from(data[found] ?? '', 'base64').toString('utf8');
    const wanted = keys.map((one) => `"${one}"`).join(' or ');
    throw new ClusterError(`Secret/${namespace}/${name} has no kubeconfig under ${wanted}: add it, or name its key`);
  }

  return {
    async open(namespace, reference) {
      const { content, access } = await read(namespace, reference);
      const id = createHash('sha256').update(content).digest('hex').slice(0, 16);
      let entry = entries.get(id);
      if (!entry) {
        try {
          entry = createEntry(id, access(), options.log);
        } catch (error) {
          const { secretRef, configMapRef } = reference;
          const subject = secretRef
            ? `Secret/${namespace}/${secretRef.name}`
            : `ConfigMap/${namespace}/${configMapRef?.name}`;
          throw new ClusterError(`${subject} cannot be used: ${(error as Error).message}`);
        }
        entries.set(id, entry);
      }
      entry.usedAtMs = Date.now();
      return entry.cluster;
    },
    async close() {
      clearInterval(sweeper);
      const open = [...entries.values()];
      entries.clear();
      await Promise.all(open.map((entry) => entry.close()));
    },
  };
}

function createEntry(id: string, access: ClusterAccess, log: WatchCacheLog | undefined): Entry {
  const rest = createRest(access, { userAgent: 'continuo', maxConnections });
  const client = clientOn(access.server, rest, createDiscovery(rest), {});
  const reach = createReach({
    server: access.server,
    probe: (signal) => rest.json({ method: 'GET', path: '/version', isIdempotent: true, signal }),
  });
  const watcher = reach.patient(client);
  const caches = createWatchCaches(watcher, { log });
  const closing = new AbortController();
  const entry: Entry = {
    users: 0,
    usedAtMs: Date.now(),
    cluster: {
      id,
      client: reach.guard(client),
      watcher,
      caches,
      reach: () => check(reach),
      get lost() {
        return reach.lost;
      },
      onBack: (listener) => reach.onBack(listener),
      hold() {
        let isHeld = true;
        entry.users += 1;
        return () => {
          if (isHeld) entry.users -= 1;
          isHeld = false;
          entry.usedAtMs = Date.now();
        };
      },
      closing: closing.signal,
    },
    async close() {
      closing.abort();
      caches.close();
      reach.close();
      await rest.close();
    },
  };
  return entry;
}

async function check(reach: Reach): Promise<void> {
  try {
    await reach.check();
  } catch (cause) {
    throw new ClusterError(`${(cause as Error).message}; it is asked again until it answers`, true, cause);
  }
}

function missing(kind: KubeObject['kind'], namespace: string, name: string, field: string): ClusterError {
  return new ClusterError(`${kind}/${namespace}/${name} not found: create it, or correct ${field}`);
}
