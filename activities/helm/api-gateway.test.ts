import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { KubeApiError } from '../../k8s/client.ts';
import type { ForwardedAnswer, ForwardedRequest } from '../../k8s/rest.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { attemptAnnotation, createApiGateway, placeOf } from './api-gateway.ts';

const session = { namespace: 'apps', storageNamespace: 'store' };
const secrets = (namespace: string): string => `/api/v1/namespaces/${namespace}/secrets`;

const cases: [string, string, string, boolean][] = [
  [
    'a list of releases',
    `${secrets('apps')}?labelSelector=name%3Da%2Cowner%3Dhelm`,
    `${secrets('store')}?labelSelector=name%3Da%2Cowner%3Dhelm`,
    true,
  ],
  ['a new release', secrets('apps'), secrets('store'), true],
  ['a release', `${secrets('apps')}/sh.helm.release.v1.a.v1`, `${secrets('store')}/sh.helm.release.v1.a.v1`, true],
  ['a Secret of the chart', `${secrets('apps')}/login`, `${secrets('apps')}/login`, false],
  [
    'a new Secret of the chart',
    `${secrets('apps')}?fieldManager=helm`,
    `${secrets('apps')}?fieldManager=helm-controller`,
    false,
  ],
  [
    'a list of other Secrets',
    `${secrets('apps')}?labelSelector=a%3Db`,
    `${secrets('apps')}?labelSelector=a%3Db`,
    false,
  ],
  [
    'Secrets of another namespace',
    `${secrets('other')}/sh.helm.release.v1.a.v1`,
    `${secrets('other')}/sh.helm.release.v1.a.v1`,
    false,
  ],
  [
    'an apply',
    '/apis/apps/v1/namespaces/apps/deployments/a?fieldManager=helm&force=true',
    '/apis/apps/v1/namespaces/apps/deployments/a?fieldManager=helm-controller&force=true',
    false,
  ],
];

test.each(cases)('%s goes to its place', (_, path, expected, isStorage) => {
  expect(placeOf(new URL(path, 'http://gateway'), session)).toEqual({ path: expected, isStorage });
});

const refusals: [string, Error, number, boolean][] = [
  ['a connection that is refused', new KubeApiError('did not answer', 0, 'ECONNREFUSED'), 502, true],
  ['one that breaks', Object.assign(new Error('other side closed'), { code: 'UND_ERR_SOCKET' }), 502, true],
  ['a refusal', new KubeApiError('forbidden', 403, 'Forbidden'), 403, false],
  ['a request that cannot be passed on', new Error('a protobuf object is cut off'), 502, false],
];
test.each(refusals)('%s tells whether the server was away', async (_, error, status, wasServerAway) => {
  const gateway = createApiGateway();
  try {
    const client = { server: 'https://cluster', forward: () => Promise.reject(error) };
    const opened = await gateway.open({ client, namespace: 'apps', storageNamespace: 'apps', attempt: 'a' });
    expect(opened.wasServerAway).toBe(false);
    expect((await fetch(`${opened.server}/api/v1/namespaces/apps/pods/a`)).status).toBe(status);
    expect(opened.wasServerAway).toBe(wasServerAway);
  } finally {
    await gateway.close();
  }
});

test('a process sees releases as its view shows them, and what it writes is stored as it truly is', async () => {
  const gateway = createApiGateway();
  const stored: { method: string; body: string }[] = [];
  const data = (text: string): object => ({ data: { release: Buffer.from(text).toString('base64') } });
  try {
    const client = {
      server: 'https://cluster',
      async forward({ method, path, headers = {}, body }: ForwardedRequest): Promise<ForwardedAnswer> {
        if (method !== 'GET') stored.push({ method, body: Buffer.from(body ?? []).toString() });
        const isMap = path.includes('configmaps');
        const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', resourceVersion: '3' } };
        const answer = isMap ? map : data('true');
        const encoding = headers['accept-encoding'] ? { 'content-encoding': 'gzip' } : {};
        return {
          status: method === 'POST' ? 201 : 200,
          headers: { 'content-type': 'application/json', ...encoding },
          body: Readable.from([Buffer.from(JSON.stringify(answer))]),
        };
      },
    };
    const view = {
      read: (packed: Buffer) => Buffer.from(`seen ${packed.toString()}`),
      written: (packed: Buffer) => Buffer.from(packed.toString().replace('seen ', '')),
      sent: (body: Uint8Array) => Buffer.from(Buffer.from(body).toString().replace('disguise', 'plain')),
    };
    const opened = await gateway.open({ client, ...session, attempt: 'a', view });
    const secret = `${opened.server}${secrets('apps')}/sh.helm.release.v1.a.v1`;
    expect(await (await fetch(secret)).json()).toEqual(data('seen true'));
    await fetch(secret, { method: 'PUT', body: JSON.stringify(data('seen changed')) });
    await fetch(`${opened.server}/api/v1/namespaces/apps/configmaps`, { method: 'POST', body: '{"a":"disguise"}' });
    expect(JSON.parse(stored[0]?.body ?? '')).toMatchObject(data('changed'));
    expect(stored[1]?.body).toBe('{"a":"plain"}');
    expect([...opened.created]).toEqual(['_a__ConfigMap']);
    expect([...opened.written]).toEqual([['_a__ConfigMap', '3']]);
  } finally {
    await gateway.close();
  }
});

test.each<[string, { isMarkingAll?: boolean }, string[]]>([
  ['what it has made bears its mark, what it changed another one', {}, ['a', 'a', 'a (changed, not made)']],
  ['a process for hooks marks the revision that is there', { isMarkingAll: true }, ['a', 'a', 'a']],
])('%s', async (_title, options, expected) => {
  const gateway = createApiGateway();
  const marks: string[] = [];
  try {
    const client = {
      server: 'https://cluster',
      async forward({ body }: ForwardedRequest): Promise<ForwardedAnswer> {
        const secret = JSON.parse(Buffer.from(body ?? []).toString()) as KubeObject;
        marks.push(secret.metadata.annotations?.[attemptAnnotation] ?? '');
        const answer = Readable.from([Buffer.from(JSON.stringify(secret))]);
        return { status: 200, headers: { 'content-type': 'application/json' }, body: answer };
      },
    };
    const { server } = await gateway.open({ client, ...session, attempt: 'a', ...options });
    const send = (method: string, version: number, path: string): Promise<Response> => {
      const body = { kind: 'Secret', metadata: { name: `sh.helm.release.v1.app.v${version}` } };
      return fetch(`${server}${path}`, { method, body: JSON.stringify(body) });
    };
    await send('POST', 2, secrets('apps'));
    await send('PUT', 2, `${secrets('apps')}/sh.helm.release.v1.app.v2`);
    await send('PUT', 1, `${secrets('apps')}/sh.helm.release.v1.app.v1`);
    expect(marks).toEqual(expected);
  } finally {
    await gateway.close();
  }
});
