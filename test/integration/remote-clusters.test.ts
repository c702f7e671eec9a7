// Remote clusters against a second API server: opened by content, closed when unused, away and back, narrow rights.
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { waitForKustomization } from '../../activities/health/health-activities.ts';
import { createNamedCaches } from '../../activities/health/named-caches.ts';
import type { KubeClient } from '../../k8s/client.ts';
import { createKubeClient } from '../../k8s/kube-client.ts';
import { createReferencedObjects } from '../../k8s/referenced-objects.ts';
import { createRemoteClusters, type RemoteClusters, type RemoteClustersOptions } from '../../k8s/remote-clusters.ts';
import type { WatchCaches } from '../../k8s/watch-cache.ts';
import { createWatchCaches } from '../../k8s/watch-caches.ts';
import { type ApiServer, startApiServer } from '../servers/api-server.ts';
import { configMap, createNamespace, eventually } from '../servers/kube-fixture.ts';

const reference = { secretRef: { name: 'cluster' } };
const configMaps = { group: '', version: 'v1', kind: 'ConfigMap', resource: 'configmaps', namespaced: true };
const strict = { isExecAllowed: false, isInsecureTlsAllowed: false };

let home: KubeClient;
let caches: WatchCaches;
let server: ApiServer;
let namespace: string;
const opened: RemoteClusters[] = [];

beforeAll(async () => {
  home = createKubeClient({ kubeconfig: inject('kubeconfig') });
  caches = createWatchCaches(home);
  server = await startApiServer();
});
beforeEach(async () => {
  namespace = await createNamespace(home, 'remote');
});
afterEach(async () => {
  server.freeze(false);
  for (const remotes of opened.splice(0)) await remotes.close();
});
afterAll(async () => {
  await server?.close();
  caches.close();
  await home.close();
});

function createRemotes(options: Partial<RemoteClustersOptions> = {}): RemoteClusters {
  const references = createReferencedObjects({ client: home, caches, labelSelector: 'watched=yes' });
  const remotes = createRemoteClusters({ home, references, rules: strict, defaultServiceAccount: '', ...options });
  opened.push(remotes);
  return remotes;
}

async function store(kubeconfig: string, where = namespace): Promise<void> {
  const metadata = { namespace: where, name: 'cluster' };
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata, stringData: { value: kubeconfig } };
  await home.apply(secret, { fieldManager: 'test', force: true });
}

/** The administrator's kubeconfig with another user in it. */
function kubeconfigWith(change: (user: object) => object): string {
  const config = JSON.parse(server.kubeconfig);
  config.users[0].user = change(config.users[0].user);
  return JSON.stringify(config);
}

test('the same kubeconfig is one cluster, whoever stores it; another one is another cluster', async () => {
  const remotes = createRemotes();
  const other = await createNamespace(home, 'remote');
  await store(server.kubeconfig);
  await store(server.kubeconfig, other);
  const first = await remotes.open(namespace, reference);
  expect(await remotes.open(other, reference)).toBe(first);
  await first.reach();
  await store(kubeconfigWith((user) => ({ ...user, username: 'x' })));
  expect((await remotes.open(namespace, reference)).id).not.toBe(first.id);
});

test('a cluster that nobody uses is closed, one that is held stays', async () => {
  const remotes = createRemotes({ idleMs: 50 });
  await store(server.kubeconfig);
  const cluster = await remotes.open(namespace, reference);
  const release = cluster.hold();
  await cluster.caches.open({ resource: configMaps }).sync();
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(cluster.closing.aborted).toBe(false);
  release();
  await eventually('the cluster to be closed', () => cluster.closing.aborted);
  expect(await remotes.open(namespace, reference)).not.toBe(cluster);
});

test('a server that hangs fails requests within seconds, and its caches go on when it is back', async () => {
  const remotes = createRemotes();
  await store(server.kubeconfig);
  const cluster = await remotes.open(namespace, reference);
  await cluster.reach();
  const there = await createNamespace(server.client, 'there');
  const cache = cluster.caches.open({ resource: configMaps });
  await cache.sync();
  let timesBack = 0;
  cluster.onBack(() => timesBack++);

  server.freeze(true);
  const ref = { group: '', version: 'v1', kind: 'ConfigMap', namespace: there, name: randomUUID() };
  const hanging = cluster.client.get(ref);
  await expect(hanging).rejects.toThrow(`the API server at ${server.url} did not answer within 3s`);
  await expect(cluster.reach()).rejects.toMatchObject({ name: 'ClusterError', isAway: true });
  await expect(cluster.client.resourceFor('', 'v1', 'Nothing')).rejects.toThrow('did not answer');

  server.freeze(false);
  await eventually('the server to be back', () => timesBack === 1, 30_000);
  await cluster.reach();
  await server.client.create(configMap(there, 'after'));
  await eventually('the cache to see what came after', () => cache.get(there, 'after'));
});

test('an exec plugin runs only where it is allowed', async () => {
  const { token } = JSON.parse(server.kubeconfig).users[0].user;
  const credential = { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status: { token } };
  const exec = { apiVersion: credential.apiVersion, command: 'echo', args: [JSON.stringify(credential)] };
  await store(kubeconfigWith(() => ({ exec: { ...exec, interactiveMode: 'Never' } })));
  await expect(createRemotes().open(namespace, reference)).rejects.toThrow(
    `Secret/${namespace}/cluster cannot be used: kubeconfig uses "exec"`,
  );
  const cluster = await createRemotes({ rules: { ...strict, isExecAllowed: true } }).open(namespace, reference);
  expect(await cluster.client.get({ ...configMaps, namespace: '', name: 'default', kind: 'Namespace' })).toBeDefined();
});

test('health is told with a kubeconfig that is good for one namespace only', async () => {
  const there = await createNamespace(server.client, 'narrow');
  const rbac = 'rbac.authorization.k8s.io';
  const metadata = { namespace: there, name: 'narrow' };
  const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['*'] }];
  await server.client.create({ apiVersion: `${rbac}/v1`, kind: 'Role', metadata, rules });
  await server.client.create({
    apiVersion: `${rbac}/v1`,
    kind: 'RoleBinding',
    metadata,
    roleRef: { apiGroup: rbac, kind: 'Role', name: 'narrow' },
    subjects: [{ apiGroup: rbac, kind: 'User', name: there }],
  });
  await server.client.create(configMap(there, 'one'));
  await store(kubeconfigWith((user) => ({ ...user, as: there })));
  const cluster = await createRemotes().open(namespace, reference);
  const named = createNamedCaches(cluster.watcher);
  const kustomization = {
    apiVersion: 'v1',
    kind: 'Kustomization',
    metadata: { namespace, name: 'app' },
    spec: { wait: true },
  };
  const result = await waitForKustomization(
    {
      clusterOf: () => ({ client: cluster.client, caches: cluster.caches, named }),
      scopeFor: (resource) => ({ resource }),
      kustomization: () => kustomization,
      appliedObjects: async () => [{ ref: { ...configMaps, namespace: there, name: 'one' } }],
    },
    { kustomization: { namespace, name: 'app' }, generation: 1, revision: '', inventoryKey: '', timeoutMs: 10_000 },
  );
  expect(result.checkedCount).toBe(1);
  named.close();
});
