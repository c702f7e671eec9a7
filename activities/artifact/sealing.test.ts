import { describe, expect, test } from 'vitest';
import { createSealer } from './sealing.ts';

const key = Buffer.alloc(32, 1);
const content = Buffer.from('kind: Secret\nstringData: {password: hunter2}\n');

describe('createSealer', () => {
  test('opens what it sealed, also after a restart', () => {
    const sealed = createSealer(key).seal(content, 'sha256:a');

    expect(createSealer(key).open(sealed, 'sha256:a')).toEqual(content);
    expect(createSealer(key).open(createSealer(key).seal(Buffer.alloc(0), 'n'), 'n')).toEqual(Buffer.alloc(0));
  });

  test('shows nothing of the content, and never the same bytes twice', () => {
    const first = Buffer.from(createSealer(key).seal(content, 'sha256:a'));
    const second = Buffer.from(createSealer(key).seal(content, 'sha256:a'));

    expect(first.includes('hunter2')).toBe(false);
    expect(first.equals(second)).toBe(false);
  });

  const sealed = Buffer.from(createSealer(key).seal(content, 'sha256:a'));
  const changed = (at: number): Buffer => Buffer.from(sealed.map((byte, index) => (index === at ? byte ^ 1 : byte)));

  test.each([
    ['another key', sealed, createSealer(Buffer.alloc(32, 2)), 'sha256:a'],
    ['another name', sealed, createSealer(key), 'sha256:b'],
    ['a changed nonce', changed(5), createSealer(key), 'sha256:a'],
    ['a changed text', changed(20), createSealer(key), 'sha256:a'],
    ['a changed tag', changed(sealed.length - 1), createSealer(key), 'sha256:a'],
    ['a cut off end', sealed.subarray(0, -1), createSealer(key), 'sha256:a'],
    ['content that was never sealed', content, createSealer(key), 'sha256:a'],
    ['nothing', Buffer.alloc(0), createSealer(key), 'sha256:a'],
  ])('does not open %s', (_, bytes, sealer, name) => {
    expect(sealer.open(bytes, name)).toBeUndefined();
  });

  test('refuses a key of another length', () => {
    expect(() => createSealer(Buffer.alloc(16))).toThrow('sealing key has 16 bytes, expected 32');
  });
});
