import { beforeEach, expect, test } from 'vitest';
import { inventoryEntryOf, type KubeObject, refOf } from '../../k8s/object.ts';
import type { CacheEvent } from '../../k8s/watch-cache.ts';
import { classifyAppliedEvent, type ForeignChange } from './applied-events.ts';
import type { AppliedEntry } from './fingerprint.ts';
import { type ApplyMemory, createApplyMemory } from './memory.ts';
import { ownerLabels } from './owner.ts';

const owner = { kind: 'Kustomization', namespace: 'apps', name: 'a' };
const rival = { ...owner, name: 'b' };

let memory: ApplyMemory;
beforeEach(() => {
  memory = createApplyMemory({
    readBlob: async () => undefined,
    writeBlob: async () => {},
    removeBlob: async () => {},
  });
});

function object(kind: string, holder: { namespace: string; name: string }, rest: object = {}): KubeObject {
  const apiVersion = kind === 'Job' ? 'batch/v1' : 'v1';
  const metadata = { namespace: 'apps', name: 'x', uid: 'u', resourceVersion: '20', labels: ownerLabels(holder) };
  return { apiVersion, kind, metadata, ...rest };
}

async function told(event: CacheEvent, skip?: AppliedEntry['skip']): Promise<ForeignChange | undefined> {
  const { entries } = await memory.load(owner);
  entries.set(inventoryEntryOf(refOf(event.object)).id, {
    type: 'v1/ConfigMap',
    namespace: 'apps',
    name: 'x',
    desiredDigest: 'd',
    labelKeys: [],
    annotationKeys: [],
    fingerprint: 'another',
    uid: 'u',
    resourceVersion: '10',
    skip,
  });
  return classifyAppliedEvent(event, memory, false, owner);
}

const job = (ttlSecondsAfterFinished?: number, condition = 'Complete') =>
  object('Job', owner, {
    spec: { ttlSecondsAfterFinished },
    status: { conditions: [{ type: condition, status: 'True' }] },
  });

test.each<[string, KubeObject, boolean]>([
  ['a Job that has removed itself', job(0), false],
  ['one that had failed', job(60, 'Failed'), false],
  ['one that was still at work', job(0, 'Suspended'), true],
  ['one that would have stayed', job(), true],
  ['any other object', object('ConfigMap', owner, { spec: {} }), true],
])('the deletion of %s', async (_, deleted, isDrift) => {
  expect((await told({ type: 'DELETED', object: deleted }))?.kind).toBe(isDrift ? 'foreign-delete' : undefined);
});

const ours = object('ConfigMap', owner);
const theirs = object('ConfigMap', rival);

test.each<[string, CacheEvent, AppliedEntry['skip'], ForeignChange['kind'] | undefined]>([
  ['is taken by another owner', { type: 'MODIFIED', object: theirs, previous: ours }, undefined, 'taken'],
  ['was taken while nobody looked', { type: 'MODIFIED', object: theirs }, undefined, 'taken'],
  ['is written by the one that has it', { type: 'MODIFIED', object: theirs, previous: theirs }, 'taken', undefined],
  ['is deleted where another one has it', { type: 'DELETED', object: theirs }, 'taken', undefined],
  ['is handed over', { type: 'MODIFIED', object: ours, previous: theirs }, 'taken', 'handed-over'],
])('an object that %s', async (_, event, skip, kind) => {
  const change = await told(event, skip);
  const manager = kind === 'taken' ? 'Kustomization/apps/b' : change?.manager;
  expect({ kind: change?.kind, manager: change?.manager }).toEqual({ kind, manager });
});
