import { expect, test } from 'vitest';
import { stampSecret } from './stamp-secret.ts';

const stamp = { namespace: 'store', annotation: 'a/b', value: 'one' };

function field(number: number, content: string | Buffer): Buffer {
  const bytes = Buffer.from(content as string);
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
}

test('a Secret as JSON gets the namespace and the annotation beside those that it has', () => {
  const body = Buffer.from(JSON.stringify({ kind: 'Secret', metadata: { name: 'x', annotations: { c: 'd' } } }));

  expect(JSON.parse(Buffer.from(stampSecret(body, stamp)).toString())).toEqual({
    kind: 'Secret',
    metadata: { name: 'x', namespace: 'store', annotations: { c: 'd', 'a/b': 'one' } },
  });
});

test('a Secret as protobuf gets them as a further part of its metadata; all else stays', () => {
  const metadata = field(1, field(1, 'x'));
  const type = field(1, 'v1');
  const body = Buffer.concat([Buffer.from('k8s\0'), type, field(2, metadata), field(4, '')]);

  const entry = Buffer.concat([field(1, 'a/b'), field(2, 'one')]);
  const added = field(1, Buffer.concat([field(3, 'store'), field(12, entry)]));
  expect(Buffer.from(stampSecret(body, stamp))).toEqual(
    Buffer.concat([Buffer.from('k8s\0'), type, field(2, Buffer.concat([metadata, added])), field(4, '')]),
  );
});

const broken: [string, Buffer][] = [
  ['cut off', Buffer.concat([Buffer.from('k8s\0'), Buffer.from([18, 90, 1])])],
  ['without content', Buffer.concat([Buffer.from('k8s\0'), field(1, 'v1')])],
  ['with a field of another form', Buffer.concat([Buffer.from('k8s\0'), Buffer.from([8, 1])])],
  ['with a length that never ends', Buffer.concat([Buffer.from('k8s\0'), Buffer.from([18, 255, 255, 255, 255, 255])])],
];
test.each(broken)('one %s is refused', (_, body) => {
  expect(() => stampSecret(body, stamp)).toThrow(/a protobuf object/);
});
