import { describe, expect, test } from 'vitest';
import type { PostBuild } from '../../../k8s/api/kustomization.ts';
import { KubeApiError } from '../../../k8s/client.ts';
import type { ReferencedObjects } from '../../../k8s/referenced-objects.ts';
import { resolveVariables } from './variables.ts';

const base64 = (value: string | Uint8Array): string => Buffer.from(value).toString('base64');

const objects: Record<string, object> = {
  'ConfigMap/apps/settings': { data: { a: 'from settings', b: '1\n2\r\n', __proto__: 'x' }, binaryData: { c: 'AAAA' } },
  'ConfigMap/apps/empty': {},
  'ConfigMap/apps/bad': { data: { good: 'x', 'tls.crt': 'hunter2' } },
  'ConfigMap/other/settings': { data: { a: 'from another namespace' } },
  'Secret/apps/settings': { data: { a: base64('from the Secret'), pass: base64('hunter2\n'), accent: base64('ü') } },
  'Secret/apps/bytes': { data: { key: base64(Uint8Array.of(0xff, 0xfe)) }, stringData: { ignored: 'x' } },
};

const references: ReferencedObjects = {
  get: async (kind, namespace, name) => {
    const found = objects[`${kind}/${namespace}/${name}`];
    return found && { apiVersion: 'v1', kind, metadata: { namespace, name }, ...found };
  },
};

async function values(postBuild: PostBuild): Promise<Record<string, string | undefined>> {
  const variables = await resolveVariables(postBuild, 'apps', references);
  return Object.fromEntries([...variables].map(([name, { value }]) => [name, value]));
}

const from = (kind: 'ConfigMap' | 'Secret', name: string, optional = false) => ({ kind, name, optional });

describe('variables', () => {
  test.each<[string, PostBuild, object]>([
    ['of nothing', {}, {}],
    ['that are inline, without their newlines', { substitute: { a: 'x\ny\n', B_1: '' } }, { a: 'xy', B_1: '' }],
    ['of a ConfigMap', { substituteFrom: [from('ConfigMap', 'settings')] }, { a: 'from settings', b: '12\r' }],
    ['of an empty ConfigMap', { substituteFrom: [from('ConfigMap', 'empty')] }, {}],
    [
      'of a Secret, decoded',
      { substituteFrom: [from('Secret', 'settings')] },
      { a: 'from the Secret', pass: 'hunter2', accent: 'ü' },
    ],
    ['of bytes that are no text', { substituteFrom: [from('Secret', 'bytes')] }, { key: undefined }],
    [
      'of several, the later ones winning',
      { substituteFrom: [from('Secret', 'settings'), from('ConfigMap', 'settings')] },
      { a: 'from settings', b: '12\r', pass: 'hunter2', accent: 'ü' },
    ],
    [
      'of several in the other order',
      { substituteFrom: [from('ConfigMap', 'settings'), from('Secret', 'settings')] },
      { a: 'from the Secret', b: '12\r', pass: 'hunter2', accent: 'ü' },
    ],
    [
      'that are inline win over all',
      { substitute: { a: 'inline' }, substituteFrom: [from('ConfigMap', 'settings')] },
      { a: 'inline', b: '12\r' },
    ],
    [
      'of what is missing and optional are left out',
      { substituteFrom: [from('ConfigMap', 'gone', true), from('Secret', 'gone', true)], substitute: { a: 'x' } },
      { a: 'x' },
    ],
  ])('%s', async (_, postBuild, expected) => {
    expect(await values(postBuild)).toEqual(expected);
  });

  test('know where they come from', async () => {
    const postBuild = { substituteFrom: [from('Secret', 'bytes')], substitute: { inline: 'x' } };
    const variables = await resolveVariables(postBuild, 'apps', references);

    expect(variables.get('key')?.origin).toBe('Secret/apps/bytes');
    expect(variables.get('inline')?.origin).toBe('spec.postBuild.substitute');
  });
});

describe('what is wrong is told with object and key, and never with a value', () => {
  test.each<[string, PostBuild, string]>([
    [
      'a missing Secret',
      { substituteFrom: [from('Secret', 'gone')] },
      'post build failed: Secret/apps/gone of spec.postBuild.substituteFrom does not exist: create it, or set "optional: true"',
    ],
    [
      'a missing ConfigMap after others',
      { substituteFrom: [from('ConfigMap', 'settings'), from('ConfigMap', 'gone')] },
      'post build failed: ConfigMap/apps/gone of spec.postBuild.substituteFrom does not exist: create it, or set "optional: true"',
    ],
    [
      'a key that is no name',
      { substituteFrom: [from('ConfigMap', 'bad')] },
      'post build failed: "tls.crt" in ConfigMap/apps/bad is no name of a variable: expected letters, digits and "_", and no digit first',
    ],
    [
      'an inline name that is none',
      { substitute: { '1st': 'hunter2' } },
      'post build failed: "1st" in spec.postBuild.substitute is no name of a variable: expected letters, digits and "_", and no digit first',
    ],
    [
      'too many objects',
      { substituteFrom: Array.from({ length: 101 }, () => from('ConfigMap', 'settings')) },
      'post build failed: spec.postBuild.substituteFrom has 101 entries, over the limit of 100',
    ],
  ])('%s', async (_, postBuild, message) => {
    await expect(values(postBuild)).rejects.toMatchObject({ type: 'BuildFailed', message, nonRetryable: true });
  });

  test.each([
    [
      new KubeApiError('the server is busy', 503, 'ServiceUnavailable'),
      true,
      '(ServiceUnavailable): the server is busy',
    ],
    [new KubeApiError('no answer', 0, ''), true, 'cannot be read: no answer'],
    [new KubeApiError('secrets is forbidden', 403, 'Forbidden'), false, '(Forbidden): secrets is forbidden'],
  ])('a request that fails with %s', async (error, isTransient, message) => {
    const refusing: ReferencedObjects = { get: () => Promise.reject(error) };
    const resolving = resolveVariables({ substituteFrom: [from('Secret', 'a', true)] }, 'apps', refusing);

    await expect(resolving).rejects.toMatchObject({ type: 'BuildFailed', nonRetryable: !isTransient });
    await expect(resolving).rejects.toThrow(`post build failed: Secret/apps/a cannot be read`);
    await expect(resolving).rejects.toThrow(message);
  });
});
