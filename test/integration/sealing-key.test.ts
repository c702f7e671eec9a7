import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { createKubeClient } from '../../k8s/kube-client.ts';
import type { ObjectRef } from '../../k8s/object.ts';
import { readSealingKey, sealingKeySecret } from '../../workers/sealing-key.ts';

let client: KubeClient;
beforeAll(() => {
  client = createKubeClient({ kubeconfig: inject('kubeconfig') });
});
afterAll(() => client.close());

const secretIn = (namespace: string): ObjectRef => ({
  group: '',
  version: 'v1',
  kind: 'Secret',
  namespace,
  name: sealingKeySecret.name,
});

describe('readSealingKey', () => {
  test('makes namespace and key once, however many workers start at the same time', async () => {
    const namespace = `sealing-${process.pid}`;

    const keys = await Promise.all(Array.from({ length: 8 }, () => readSealingKey(client, namespace)));

    expect(keys[0]).toHaveLength(32);
    expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(1);
    expect(await readSealingKey(client, namespace)).toEqual(keys[0]);
    expect(await client.get(secretIn(namespace))).toMatchObject({ type: 'Opaque', immutable: true });
  });

  test('makes another key when somebody has deleted it', async () => {
    const namespace = `sealing-again-${process.pid}`;
    const first = await readSealingKey(client, namespace);

    await client.delete(secretIn(namespace));

    expect(await readSealingKey(client, namespace)).not.toEqual(first);
  });

  test('refuses a Secret with something else in it', async () => {
    const namespace = `sealing-bad-${process.pid}`;
    await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
    const metadata = { name: sealingKeySecret.name, namespace };
    await client.create({ apiVersion: 'v1', kind: 'Secret', metadata, stringData: { key: 'short' } });

    await expect(readSealingKey(client, namespace)).rejects.toThrow(
      `Secret/${namespace}/continuo-sealing-key has 5 bytes in "key", expected 32: delete it`,
    );
  });
});
