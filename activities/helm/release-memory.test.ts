import { expect, test } from 'vitest';
import { field, writeEnvelope } from './protobuf.ts';
import { createReleaseMemory } from './release-memory.ts';

const metadata = { namespace: 'apps', name: 'sh.helm.release.v1.web.v1', resourceVersion: '7' };
const secret = { server: 'https://a', metadata };

/** A Secret as the API server sends it. */
function answer(data: Record<string, string>): Buffer {
  const identity = Buffer.concat([
    field(1, metadata.name),
    field(3, metadata.namespace),
    field(6, metadata.resourceVersion),
    Buffer.from([7 << 3, 200, 1]), // the generation: a number
  ]);
  const entries = Object.entries(data).map(([key, value]) => field(2, Buffer.concat([field(1, key), field(2, value)])));
  const content = Buffer.concat([field(1, identity), ...entries, field(3, 'helm.sh/release.v1')]);
  return writeEnvelope([field(1, field(2, 'Secret')), field(2, content)]);
}

test('a Secret is known in the version in which it was answered, on its server', () => {
  const memory = createReleaseMemory();
  memory.learn('https://a', answer({ other: 'x', release: 'packed' }));
  expect(memory.find(secret)?.toString()).toBe('packed');
  expect(memory.find({ ...secret, metadata: { ...metadata, resourceVersion: '8' } })).toBeUndefined();
  expect(memory.find({ ...secret, metadata: { ...metadata, namespace: 'b' } })).toBeUndefined();
  expect(memory.find({ ...secret, server: 'https://b' })).toBeUndefined();
});

test.each([
  ['without a release', answer({ other: 'x' })],
  ['as JSON', Buffer.from('{}')],
  ['cut off', answer({ release: 'packed' }).subarray(0, 40)],
  ['empty', writeEnvelope([])],
])('an answer %s is passed over', (_, body) => {
  const memory = createReleaseMemory();
  memory.learn('https://a', body);
  expect(memory.find(secret)).toBeUndefined();
});

test('the oldest is forgotten when there is too much; what was asked for is not', () => {
  const memory = createReleaseMemory(10);
  const of = (name: string) => ({ server: 'a', metadata: { name, resourceVersion: '1' } });
  memory.keep(of('a'), Buffer.alloc(4));
  memory.keep(of('b'), Buffer.alloc(4));
  memory.find(of('a'));
  memory.keep(of('c'), Buffer.alloc(4));
  expect(['a', 'b', 'c'].filter((name) => memory.find(of(name)))).toEqual(['a', 'c']);
  memory.keep(of('d'), Buffer.alloc(11));
  expect(['a', 'c', 'd'].filter((name) => memory.find(of(name)))).toEqual([]);
});
