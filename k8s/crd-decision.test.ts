import { describe, expect, test } from 'vitest';
import { decideOnCrd, isEstablished } from './crd-decision.ts';
import type { KubeObject } from './object.ts';

interface CrdState {
  version?: string;
  digest?: string;
  served?: string[];
}

function crd({ version, digest = 'a', served = ['v1'] }: CrdState): KubeObject {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: 'things.example.com',
      annotations:
        version === undefined ? {} : { 'continuo.dev/crd-version': version, 'continuo.dev/crd-digest': digest },
    },
    spec: { versions: served.map((name, index) => ({ name, served: true, storage: index === 0 })) },
  };
}

describe('decideOnCrd', () => {
  const wanted = crd({ version: '1.2.0', digest: 'a', served: ['v1', 'v1beta2'] });
  const cases: { title: string; existing: KubeObject | undefined; action: string }[] = [
    { title: 'creates what is missing', existing: undefined, action: 'create' },
    { title: 'keeps ours when nothing changed', existing: crd({ version: '1.2.0' }), action: 'keep' },
    { title: 'updates an older one of ours', existing: crd({ version: '1.1.9' }), action: 'update' },
    {
      title: 'updates ours of the same version with another spec',
      existing: crd({ version: '1.2.0', digest: 'b' }),
      action: 'update',
    },
    { title: 'keeps a newer one of ours', existing: crd({ version: '1.10.0', digest: 'b' }), action: 'keep' },
    { title: 'updates ours with a version that cannot be read', existing: crd({ version: 'dev' }), action: 'update' },
    { title: 'leaves one of others alone that serves our version', existing: crd({ served: ['v1'] }), action: 'keep' },
    {
      title: 'refuses one of others that does not',
      existing: crd({ served: ['v1beta2', 'v1beta1'] }),
      action: 'refuse',
    },
  ];

  test.each(cases)('$title', ({ existing, action }) => {
    expect(decideOnCrd(wanted, existing).action).toBe(action);
  });

  test('the refusal names the CRD, what it serves and what is needed', () => {
    expect(decideOnCrd(wanted, crd({ served: ['v1beta2', 'v1beta1'] }))).toEqual({
      action: 'refuse',
      message:
        'CustomResourceDefinition/things.example.com was not installed by Continuo and does not serve version "v1" ' +
        '(it serves "v1beta2", "v1beta1"): upgrade it to Flux 2.7 or later, or delete it if nothing uses it',
    });
  });
});

describe('isEstablished', () => {
  test.each([
    ['no status', undefined, false],
    ['another condition', { conditions: [{ type: 'NamesAccepted', status: 'True' }] }, false],
    ['not yet', { conditions: [{ type: 'Established', status: 'False' }] }, false],
    ['established', { conditions: [{ type: 'Established', status: 'True' }] }, true],
  ])('%s: %s → %s', (_title, status, expected) => {
    expect(isEstablished({ ...crd({}), status })).toBe(expected);
  });
});
