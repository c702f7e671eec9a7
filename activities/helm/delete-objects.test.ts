import { expect, test } from 'vitest';
import { KubeApiError } from '../../k8s/client.ts';
import type { ObjectRef } from '../../k8s/object.ts';
import { deleteObjects } from './delete-objects.ts';

const ref = (name: string): ObjectRef => ({ group: '', version: 'v1', kind: 'ConfigMap', namespace: 'apps', name });

/** Objects of a cluster that refuses to delete some. */
function cluster(names: string[], refusals: Record<string, KubeApiError>) {
  const left = new Set(names);
  return {
    left,
    async delete({ name }: ObjectRef): Promise<boolean> {
      if (refusals[name]) throw refusals[name];
      return left.delete(name);
    },
  };
}

test('all are deleted, also those after one that cannot be, which is told', async () => {
  const client = cluster(['a', 'b', 'c'], { b: new KubeApiError('not allowed', 403, 'Forbidden') });
  await expect(deleteObjects(client, ['a', 'b', 'gone', 'c'].map(ref))).rejects.toThrow(
    /ConfigMap\/apps\/b.*not allowed/,
  );
  expect([...client.left]).toEqual(['b']);
});

test('what may pass is no answer: it is tried again', async () => {
  const away = new KubeApiError('did not answer', 0, 'ECONNREFUSED');
  await expect(deleteObjects(cluster(['a'], { a: away }), [ref('a')])).rejects.toBe(away);
});
