import { expect, test } from 'vitest';
import type { HelmReleaseSpec, ValuesRef } from '../../k8s/api/helm-release.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { composeValues } from './values.ts';
import type { Values } from './values-map.ts';

const objects: Record<string, Record<string, string>> = {
  'ConfigMap/base': { 'values.yaml': 'a: 1\nlist: [1, 2]\nmap: {x: 1, z: 2}\n', port: '8080', text: 'a,b' },
  'ConfigMap/over': { 'values.yaml': 'list: [3]\nmap: {z: 3}\n', broken: 'a: [top-secret', list: '- a' },
  'Secret/login': {
    'values.yaml': Buffer.from('login: {user: admin}\n').toString('base64'),
    password: Buffer.from("'123'").toString('base64'),
  },
};

async function compose(valuesFrom: Partial<ValuesRef>[], values?: Values): Promise<Values> {
  const spec = { interval: '1m', values, valuesFrom } as HelmReleaseSpec;
  return await composeValues(
    { metadata: { name: 'web', namespace: 'apps' }, spec },
    {
      async get(kind, namespace, name) {
        const data = namespace === 'apps' ? objects[`${kind}/${name}`] : undefined;
        return data && ({ apiVersion: 'v1', kind, metadata: { name, namespace }, data } satisfies KubeObject);
      },
    },
  );
}

const base: Partial<ValuesRef> = { kind: 'ConfigMap', name: 'base' };
const over: Partial<ValuesRef> = { kind: 'ConfigMap', name: 'over' };

test('maps merge in the order of the list, and everything else is replaced', async () => {
  expect(await compose([base, over])).toEqual({ a: 1, list: [3], map: { x: 1, z: 3 } });
});

test('inline values win over references', async () => {
  expect(await compose([base, over], { map: { z: 4 }, list: null })).toEqual({ a: 1, list: null, map: { x: 1, z: 4 } });
});

test('a Secret is decoded, and a quoted value stays text', async () => {
  const password: Partial<ValuesRef> = {
    kind: 'Secret',
    name: 'login',
    valuesKey: 'password',
    targetPath: 'login.password',
  };
  expect(await compose([{ kind: 'Secret', name: 'login' }, password])).toEqual({
    login: { user: 'admin', password: '123' },
  });
});

const port: Partial<ValuesRef> = { ...base, valuesKey: 'port', targetPath: 'map.port' };

test('a path wins over a map that is only in the inline values', async () => {
  expect(await compose([port], { map: { port: 1, z: 1 } })).toEqual({ map: { port: 8080, z: 1 } });
});

test('inline wins over a path whose parent map an earlier reference has made, as in Flux', async () => {
  expect(await compose([base, port], { map: { port: 1 } })).toMatchObject({ map: { port: 1, x: 1 } });
});

test('inline wins over a path that is a key at the root, as in Flux', async () => {
  expect(await compose([{ ...port, targetPath: 'port' }], { port: 1 })).toEqual({ port: 1 });
});

test('the inline values of the object are not changed by a path', async () => {
  const inline = { map: { port: 1 } };
  await compose([port], inline);
  expect(inline).toEqual({ map: { port: 1 } });
});

test('a literal is taken as it is', async () => {
  const text: Partial<ValuesRef> = { ...base, valuesKey: 'text', targetPath: 'text' };
  expect(await compose([{ ...text, literal: true }])).toEqual({ text: 'a,b' });
  await expect(compose([text])).rejects.toThrow('key "text" of ConfigMap/apps/base cannot be set at "text"');
});

test('what is optional may be missing: the object, or the key', async () => {
  const missing: Partial<ValuesRef> = { kind: 'Secret', name: 'none', optional: true };
  expect(await compose([missing, { ...base, valuesKey: 'none', optional: true }])).toEqual({});
});

test.each<[Partial<ValuesRef>, string]>([
  [{ kind: 'Secret', name: 'none' }, 'Secret/apps/none of spec.valuesFrom not found: create it, or set optional'],
  [{ ...base, valuesKey: 'none' }, 'ConfigMap/apps/base has no key "none": add it, or correct valuesKey'],
  [{ ...base, valuesKey: 'toString' }, 'ConfigMap/apps/base has no key "toString": add it, or correct valuesKey'],
  [{ ...over, valuesKey: 'broken' }, 'key "broken" of ConfigMap/apps/over no valid YAML at line 1'],
  [{ ...over, valuesKey: 'list' }, 'key "list" of ConfigMap/apps/over the YAML is no map of values'],
  [
    { ...base, valuesKey: 'port', targetPath: 'list.x' },
    'key "port" of ConfigMap/apps/base cannot be set at "list.x": "list" holds no map',
  ],
])('what is wrong is named with its object and key: %o', async (reference, message) => {
  const error = await compose([base, reference]).catch((cause: unknown) => cause as Error & { type: string });
  expect(error).toMatchObject({ type: 'ValuesError' });
  expect((error as Error).message).toContain(message);
  expect((error as Error).message).not.toContain('top-secret');
});
