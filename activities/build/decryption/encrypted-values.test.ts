import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../../../k8s/object.ts';
import { addPlainValues, fillIn } from './encrypted-values.ts';

const enc = (id: string, type = 'str'): string => `ENC[AES256_GCM,data:${id},iv:i,tag:t,type:${type}]`;
const sops = { mac: enc('mac'), lastmodified: 'now' };

const encrypted: KubeObject = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'a' },
  stringData: { password: enc('p'), count: enc('n', 'int') },
  list: [enc('c', 'comment'), enc('l1'), { deep: enc('l2') }],
  sops,
};
const plain = {
  ...encrypted,
  stringData: { password: 'hunter2', count: 7 },
  list: ['one', { deep: null }],
  sops: undefined,
};

function valuesOf(document = encrypted): Map<string, unknown> {
  const values = new Map<string, unknown>();
  addPlainValues(values, document, plain);
  return values;
}

describe('fillIn', () => {
  test('puts each value where its encrypted text stands, after kustomize has changed the rest', () => {
    const built = {
      ...encrypted,
      metadata: { name: 'pre-a', namespace: 'apps', labels: { team: 'blue' } },
      stringData: { count: enc('n', 'int'), extra: 'plain', password: enc('p') },
    };

    expect(fillIn(built, valuesOf())).toEqual({
      object: {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: built.metadata,
        stringData: { password: 'hunter2', count: 7, extra: 'plain' },
        list: ['one', { deep: null }],
      },
    });
  });

  test.each<[string, Partial<KubeObject>, string]>([
    ['moved to another field', { stringData: { other: enc('p') } }, 'stringData.other'],
    ['put in from elsewhere', { stringData: { password: enc('x') } }, 'stringData.password'],
    ['changed by a name prefix', { metadata: { name: `pre-${enc('p')}` } }, 'metadata.name'],
    ['under the block of another file', { sops: { mac: enc('other') } }, 'stringData.password'],
  ])('gives the path of a value that was %s', (_, change, unknownPath) => {
    expect(fillIn({ ...encrypted, ...change }, valuesOf())).toEqual({ unknownPath });
  });

  test('leaves text alone that only looks encrypted, as an example in a file that is not', () => {
    const text = `an example: ${enc('e')}`;
    const values = new Map<string, unknown>();
    addPlainValues(values, { ...encrypted, note: text }, { ...plain, note: text });

    expect(fillIn({ ...encrypted, note: text }, values)).toMatchObject({ object: { note: text } });
  });
});
