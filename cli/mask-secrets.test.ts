import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../k8s/object.ts';
import { mask, maskObject, maskPair } from './mask-secrets.ts';
import { createSecretValues, holdsSecret, maskTexts } from './secret-values.ts';

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';
const secret: KubeObject = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'a', annotations: { [lastApplied]: '{"data":{"password":"aHVudGVyMg=="}}', other: 'x' } },
  type: 'Opaque',
  data: { password: 'aHVudGVyMg==' },
  stringData: { token: 'hunter3' },
};

describe('masking', () => {
  it('hides the values of a Secret and the copy that kubectl keeps, and shows the rest', () => {
    expect(maskObject(secret)).toEqual({
      ...secret,
      metadata: { name: 'a', annotations: { [lastApplied]: mask, other: 'x' } },
      data: { password: mask },
      stringData: { token: mask },
    });
    expect(secret.data).toEqual({ password: 'aHVudGVyMg==' });
  });

  it('leaves other kinds as they are', () => {
    const configMap = { ...secret, kind: 'ConfigMap' };
    expect(maskObject(configMap)).toBe(configMap);
  });

  it('tells which values of a Secret differ, and none of them', () => {
    const before = { type: 'Opaque', data: { same: 'eA==', changed: 'b2xk', gone: 'eg==' } };
    const after = { type: 'Opaque', data: { same: 'eA==', changed: 'bmV3', added: 'eg==' } };
    expect(maskPair('Secret', before, after)).toEqual({
      before: { type: 'Opaque', data: { same: mask, changed: `${mask} (before)`, gone: mask } },
      after: { type: 'Opaque', data: { same: mask, changed: `${mask} (after)`, added: mask } },
    });
  });

  it('finds values of Secrets wherever a build has put them', () => {
    const secrets = createSecretValues();
    for (const value of ['hunter2', ' multi\nline ', 'abc', 'true', 12, 4711.5, undefined]) secrets.add(value);
    const object: KubeObject = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'of-hunter2', labels: { a: 'hunter2' } },
      data: { url: 'https://u:hunter2@host', joined: 'multiline', flag: 'true', short: 'abc' },
      list: [{ a: 'x' }, 'hunter2'],
    };
    expect(maskTexts(object, secrets, mask)).toEqual({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'of-hunter2', labels: { a: mask } },
      data: { url: mask, joined: mask, flag: 'true', short: 'abc' },
      list: [{ a: 'x' }, mask],
    });
    expect(holdsSecret(object.list, secrets)).toBe(true);
    expect(holdsSecret({ a: ['x', { b: 'abc' }] }, secrets)).toBe(false);
  });
});
