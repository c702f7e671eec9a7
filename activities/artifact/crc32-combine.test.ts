import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { combineCrc32 } from './crc32-combine.ts';

describe('combineCrc32', () => {
  it.each([0, 1, 2, 7, 8, 511, 512, 65_535, 65_537, 1_000_003])(
    'is the checksum of the whole (%i bytes behind)',
    (size) => {
      const [a, b] = [randomBytes(1_234), randomBytes(size)];
      expect(combineCrc32(crc32(a), crc32(b), size)).toBe(crc32(Buffer.concat([a, b])));
    },
  );

  it('starts from nothing', () => {
    expect(combineCrc32(0, crc32('abc'), 3)).toBe(crc32('abc'));
  });
});
