import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../k8s/object.ts';
import { objectColumns } from './object-columns.ts';
import { isSuspended, readinessOf } from './readiness.ts';
import { suspensionPatch } from './suspend.ts';
import { kindOf } from './kinds.ts';
import type { KindDefinition } from '../k8s/api/definition.ts';

const nowMs = Date.parse('2026-11-22T12:00:00Z');
const revision = 'main@sha1:958f3edd5dcfd1bf009faada57b1d89f97bd3c06';

function kustomization(status: object | undefined, spec: object = {}): KubeObject {
  return {
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    metadata: { name: 'a', namespace: 'apps', generation: 2, creationTimestamp: '2026-11-22T11:59:00Z' },
    spec: { path: './a', sourceRef: { kind: 'GitRepository', name: 'demo' }, ...spec },
    ...(status ? { status } : {}),
  };
}

const condition = (type: string, status: string, observedGeneration = 2) => ({
  type,
  status,
  reason: `${type}Reason`,
  message: `${type} message`,
  observedGeneration,
});

describe('readiness of an object', () => {
  it.each([
    ['no status', undefined, 'progressing'],
    ['Ready', { conditions: [condition('Ready', 'True')] }, 'ready'],
    ['Ready for an older spec', { conditions: [condition('Ready', 'True', 1)] }, 'progressing'],
    [
      'Ready and Reconciling',
      { conditions: [condition('Ready', 'True'), condition('Reconciling', 'True')] },
      'progressing',
    ],
    ['Unknown', { conditions: [condition('Ready', 'Unknown')] }, 'progressing'],
    ['failed', { conditions: [condition('Ready', 'False'), condition('Reconciling', 'True')] }, 'failed'],
    ['failed for an older spec', { conditions: [condition('Ready', 'False', 1)] }, 'progressing'],
    ['stalled', { conditions: [condition('Ready', 'False'), condition('Stalled', 'True')] }, 'stalled'],
  ])('%s', (_, status, state) => {
    expect(readinessOf(kustomization(status)).state).toBe(state);
  });

  it('takes the observedGeneration of the status for a condition that has none', () => {
    const { observedGeneration: _, ...ready } = condition('Ready', 'True');
    expect(readinessOf(kustomization({ conditions: [ready], observedGeneration: 1 })).state).toBe('progressing');
    expect(readinessOf(kustomization({ conditions: [ready], observedGeneration: 2 })).state).toBe('ready');
  });

  it('sees both ways to suspend, and writes the one of the kind', () => {
    expect(isSuspended(kustomization(undefined, { suspend: true }))).toBe(true);
    expect(isSuspended(kustomization(undefined))).toBe(false);
    const patchOf = (word: string, isWanted: boolean) => suspensionPatch(kindOf(word) as KindDefinition, isWanted);
    expect(patchOf('ks', true)).toEqual({ spec: { suspend: true } });
    expect(patchOf('ks', false)).toEqual({ spec: { suspend: null } });
    expect(patchOf('ag', true)).toEqual({
      metadata: { annotations: { 'source.extensions.fluxcd.io/reconcile': 'disabled' } },
    });
    expect(patchOf('ea', true)).toBeUndefined();
  });
});

describe('columns of get', () => {
  const cells = (object: KubeObject, flags = { isWide: false, hasNamespace: false, hasKind: false }): string[] =>
    objectColumns({ ...flags, nowMs: () => nowMs }).map((column) => column.value(object));

  it('shows revision, suspension, readiness, message and age', () => {
    const ready = { ...condition('Ready', 'True'), message: `Applied revision: ${revision}` };
    expect(cells(kustomization({ conditions: [ready], lastAppliedRevision: revision }))).toEqual([
      'a',
      'main@sha1:958f3edd',
      'False',
      'True',
      'Applied revision: main@sha1:958f3edd',
      '60s',
    ]);
  });

  it('adds source, path, last apply and reason when wide, the namespace and the kind when asked', () => {
    const status = { conditions: [condition('Ready', 'True')], history: [{ lastReconciled: '2026-11-22T11:59:30Z' }] };
    const wide = cells(kustomization(status), { isWide: true, hasNamespace: true, hasKind: true });
    expect(wide.slice(0, 2)).toEqual(['apps', 'kustomization/a']);
    expect(wide.slice(-4)).toEqual(['GitRepository/demo', './a', '30s', 'ReadyReason']);
  });

  it('tells what waits from what nobody reconciles', () => {
    expect(cells(kustomization(undefined))).toEqual(['a', '-', 'False', 'Unknown', 'waiting to be reconciled', '60s']);
    const automation = { ...kustomization(undefined), kind: 'ImageUpdateAutomation' };
    expect(cells(automation)[4]).toBe('not reconciled by this version of Continuo');
    const alert = { ...kustomization(undefined), kind: 'Alert' };
    expect(cells(alert).slice(3, 5)).toEqual(['-', 'configuration for others, has no state of its own']);
  });

  it('shows no password of a URL', () => {
    const repository = {
      ...kustomization(undefined),
      kind: 'GitRepository',
      spec: { url: 'https://me:secret@git.test/a' },
    };
    expect(cells(repository, { isWide: true, hasNamespace: false, hasKind: false })).toContain('https://git.test/a');
  });
});
