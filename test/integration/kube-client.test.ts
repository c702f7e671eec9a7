import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { KubeApiError, type KubeClient, type ResourceInfo, type WatchEvent } from '../../k8s/client.ts';
import { createKubeClient } from '../../k8s/kube-client.ts';
import { refOf } from '../../k8s/object.ts';
import { startCuttableProxy } from '../servers/cuttable-proxy.ts';
import {
  configMap,
  createNamespace,
  customResourceDefinition,
  kubeconfigWithServer,
  uniqueName,
} from '../servers/kube-fixture.ts';
import { startRequestLog } from '../servers/request-log.ts';

const kubeconfig = inject('kubeconfig');
const configMaps = { group: '', version: 'v1', kind: 'ConfigMap', resource: 'configmaps', namespaced: true };
let client: KubeClient;
let namespace: string;

beforeAll(async () => {
  client = createKubeClient({ kubeconfig });
  namespace = await createNamespace(client, 'client');
});
afterAll(() => client.close());

async function refusalOf(promise: Promise<unknown>): Promise<KubeApiError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(KubeApiError);
  return error as KubeApiError;
}

test('creates, reads, patches and deletes an object', async () => {
  const object = configMap(namespace, 'crud');
  const ref = refOf(object);
  expect(await client.get(ref)).toBeUndefined();
  const created = await client.create(object);
  expect((await refusalOf(client.create(object))).reason).toBe('AlreadyExists');
  expect(await client.get(ref)).toMatchObject({ kind: 'ConfigMap', data: { key: 'a' } });
  await client.patch(ref, { data: { other: 'b' } }, { type: 'merge' });
  await client.patch(ref, [{ op: 'remove', path: '/data/key' }], { type: 'json' });
  expect((await client.get(ref))?.data).toEqual({ other: 'b' });
  expect((await refusalOf(client.delete(ref, { uid: 'another' }))).status).toBe(409);
  expect(await client.delete(ref, { uid: created.metadata.uid, propagationPolicy: 'Background' })).toBe(true);
  expect(await client.delete(ref)).toBe(false);
});

test('applies server-side, and a dry run stores nothing', async () => {
  const object = configMap(namespace, 'applied');
  const dryRun = await client.apply(object, { fieldManager: 'x', dryRun: true });
  expect([dryRun.metadata.uid, dryRun.metadata.resourceVersion]).toEqual([expect.any(String), undefined]);
  expect(await client.get(refOf(object))).toBeUndefined();
  const applied = await client.apply(object, { fieldManager: 'x', force: true });
  expect(applied.metadata.managedFields).toMatchObject([{ manager: 'x', operation: 'Apply' }]);
});

test('tells refusals in the words of the server', async () => {
  const homeless = await refusalOf(client.apply(configMap('missing', 'x'), { fieldManager: 'x' }));
  expect([homeless.status, homeless.reason, homeless.message]).toEqual([
    404,
    'NotFound',
    'namespaces "missing" not found',
  ]);
  const unknown = { apiVersion: 'none.example.com/v1', kind: 'None', metadata: { name: 'x', namespace } };
  expect((await refusalOf(client.apply(unknown, { fieldManager: 'x' }))).message).toBe(
    'no matches for kind "None" in version "none.example.com/v1"',
  );
  expect(await client.get(refOf(unknown))).toBeUndefined();
  const nameless = { ...configMap(namespace, '..') };
  expect((await refusalOf(client.apply(nameless, { fieldManager: 'x' }))).status).toBe(400);
  const lost = { ...configMap(namespace, 'x'), metadata: { name: 'x' } };
  expect((await refusalOf(client.apply(lost, { fieldManager: 'x' }))).message).toContain('has no namespace');
});

test('lists all pages with their kind, and metadata alone when asked', async () => {
  const scope = await createNamespace(client, 'pages');
  await Promise.all(Array.from({ length: 7 }, (_, index) => client.create(configMap(scope, `page-${index}`))));
  const list = await client.list(configMaps, { namespace: scope, limit: 2 });
  const names = list.items.map((item) => item.metadata.name).filter((name) => name.startsWith('page-'));
  expect(names).toHaveLength(7);
  expect(list.items.every((item) => item.kind === 'ConfigMap' && item.apiVersion === 'v1')).toBe(true);
  const metadata = await client.list(configMaps, { namespace: scope, metadataOnly: true });
  expect(metadata.items.map((item) => Object.keys(item).sort())).toEqual(
    metadata.items.map(() => ['apiVersion', 'kind', 'metadata']),
  );
  const one = await client.get(refOf(configMap(scope, 'page-0')), { metadataOnly: true });
  expect(one).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'page-0' } });
  expect(one).not.toHaveProperty('data');
});

test('watches from a version, full or metadata, until it is aborted', async () => {
  const scope = await createNamespace(client, 'watch');
  const { resourceVersion } = await client.list(configMaps, { namespace: scope });
  for (const metadataOnly of [false, true]) {
    const stop = new AbortController();
    const events: WatchEvent[] = [];
    const name = `seen-${metadataOnly}`;
    const watching = (async () => {
      const options = { namespace: scope, fieldSelector: `metadata.name=${name}`, metadataOnly, resourceVersion };
      for await (const event of client.watch(configMaps, { ...options, signal: stop.signal })) {
        if (event.type === 'BOOKMARK') continue;
        events.push(event);
        if (event.type === 'DELETED') return;
      }
    })();
    await client.create(configMap(scope, name));
    await client.patch(refOf(configMap(scope, name)), { data: { key: 'b' } }, { type: 'merge' });
    await client.delete(refOf(configMap(scope, name)));
    await watching;
    stop.abort();
    expect(events.map((event) => event.type)).toEqual(['ADDED', 'MODIFIED', 'DELETED']);
    expect(events.every(({ object }) => object.kind === 'ConfigMap' && 'data' in object === !metadataOnly)).toBe(true);
  }
});

test('acts as another user, who may do only what is granted', async () => {
  const account = client.impersonate(`system:serviceaccount:${namespace}:limited`);
  expect((await refusalOf(account.list(configMaps, { namespace }))).reason).toBe('Forbidden');
  const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['list'] }];
  const role = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name: 'limited', namespace },
    rules,
  };
  await client.create(role);
  await client.create({
    ...role,
    kind: 'RoleBinding',
    rules: undefined,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'limited' },
    subjects: [{ kind: 'ServiceAccount', name: 'limited', namespace }],
  });
  await expect
    .poll(() =>
      account.list(configMaps, { namespace }).then(
        () => 'allowed',
        () => 'no',
      ),
    )
    .toBe('allowed');
  expect((await refusalOf(account.create(configMap(namespace, 'x')))).reason).toBe('Forbidden');
});

test('finds a kind whose CRD was made a moment ago, with shared requests, and says Expired for a watch before it', async () => {
  const group = `${uniqueName('g')}.example.com`;
  expect(await client.resourceFor(group, 'v1', 'Widget')).toBeUndefined();
  await client.create(customResourceDefinition(group));
  const log = startRequestLog((path) => path.startsWith(`/apis/${group}`));
  await expect
    .poll(
      async () => {
        const found = await Promise.all(Array.from({ length: 20 }, () => client.resourceFor(group, 'v1', 'Widget')));
        return found.every((one) => one?.resource === 'widgets');
      },
      { timeout: 10_000 },
    )
    .toBe(true);
  log.stop();
  expect(log.requests.length).toBeLessThan(25);
  expect(await client.resourceFor(group, '', 'Widget')).toMatchObject({ version: 'v1' });

  // The server's own history of this kind begins with the CRD, so that anything older has expired.
  const widgets = await client.resourceFor(group, 'v1', 'Widget');
  const watching = client.watch(widgets as ResourceInfo, { resourceVersion: '1' });
  expect((await refusalOf(watching.next())).status).toBe(410);
});

test('sends an idempotent request again when its connection breaks', async () => {
  const target = Number(new URL(client.server).port);
  const proxy = await startCuttableProxy(target);
  const kubeconfigText = kubeconfigWithServer(kubeconfig, () => `https://127.0.0.1:${proxy.port}`);
  const proxied = createKubeClient({ kubeconfigText });
  try {
    await proxied.apply(configMap(namespace, 'cut'), { fieldManager: 'x' });
    proxy.cut();
    await proxied.apply(configMap(namespace, 'cut', { key: 'b' }), { fieldManager: 'x' });
    proxy.refuse(true);
    proxy.cut();
    const healing = setTimeout(() => proxy.refuse(false), 150);
    expect((await proxied.get(refOf(configMap(namespace, 'cut'))))?.data).toEqual({ key: 'b' });
    clearTimeout(healing);
  } finally {
    await proxied.close();
    proxy.close();
  }
});

test('gives status 0 when nobody answers, and the reason of an abort', async () => {
  const kubeconfigText = kubeconfigWithServer(kubeconfig, () => 'https://127.0.0.1:1');
  const nowhere = createKubeClient({ kubeconfigText });
  const error = await refusalOf(nowhere.list(configMaps));
  expect([error.status, error.isTransient]).toEqual([0, true]);
  expect(error.message).toContain('the API server at https://127.0.0.1:1 did not answer');
  await nowhere.close();
  const reason = new Error('enough');
  await expect(client.list(configMaps, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});

/** An API server of one scripted answer after the other. */
async function scripted(answers: Array<(request: IncomingMessage, response: ServerResponse) => void>) {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    if (request.url === '/api' || request.url === '/apis') {
      response.end(JSON.stringify({ items: [] }));
      return;
    }
    seen.push(request.url ?? '');
    answers.shift()?.(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const config = JSON.parse(
    kubeconfigWithServer(kubeconfig, () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`),
  );
  for (const { cluster } of config.clusters) {
    delete cluster['certificate-authority-data'];
    delete cluster['certificate-authority'];
    cluster['insecure-skip-tls-verify'] = true;
  }
  return { seen, kubeconfigText: JSON.stringify(config), close: () => server.close() };
}

function answer(status: number, body: unknown, headers: Record<string, string> = {}) {
  return (_: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };
}

test('waits as long as a busy server asks, and starts a list again whose token has expired', async () => {
  const item = (name: string) => ({ metadata: { name } });
  const server = await scripted([
    answer(429, { kind: 'Status', message: 'busy', reason: 'TooManyRequests', code: 429 }, { 'retry-after': '1' }),
    answer(200, { metadata: { continue: 'token' }, items: [item('a')] }),
    answer(410, { kind: 'Status', message: 'expired', reason: 'Expired', code: 410 }),
    answer(200, { metadata: { resourceVersion: '9' }, items: [item('a'), item('b')] }),
  ]);
  const scriptedClient = createKubeClient({ kubeconfigText: server.kubeconfigText });
  const list = await scriptedClient.list(configMaps);
  expect([list.resourceVersion, list.items.map((one) => one.metadata.name)]).toEqual(['9', ['a', 'b']]);
  expect(server.seen.map((url) => url.includes('continue=token'))).toEqual([false, false, true, false]);
  await scriptedClient.close();
  server.close();
});

test('gives a server up that does not answer in time', async () => {
  const server = await scripted([() => {}]);
  const slow = createKubeClient({ kubeconfigText: server.kubeconfigText, requestTimeoutMs: 300 });
  const error = await refusalOf(slow.list(configMaps));
  expect([error.status, error.reason]).toEqual([0, 'TimedOut']);
  await slow.close();
  server.close();
});

test('refuses an answer over the size limit', async () => {
  const server = await scripted([answer(200, { items: [], filler: 'x'.repeat(5000) })]);
  const small = createKubeClient({ kubeconfigText: server.kubeconfigText, maxBodyBytes: 1000 });
  expect((await refusalOf(small.list(configMaps))).message).toContain('larger than 1000 bytes');
  await small.close();
  server.close();
});

test('names what is wrong with a kubeconfig, and never quotes it', () => {
  expect(() => createKubeClient({ kubeconfig, context: 'nope' })).toThrow('kubeconfig has no context "nope"');
  expect(() => createKubeClient({ kubeconfig: '/does/not/exist' })).toThrow(
    'kubeconfig "/does/not/exist" cannot be read (ENOENT)',
  );
  expect(() => createKubeClient({ kubeconfigText: '{token: secret' })).toThrow(
    /^kubeconfig\s+cannot be read \(malformed\)$/,
  );
});
