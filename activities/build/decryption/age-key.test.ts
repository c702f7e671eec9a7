import { describe, expect, test } from 'vitest';
import { decodeBech32, encodeBech32, parseAgeIdentities } from './age-key.ts';

// Printed by age-keygen for this test, and used nowhere else.
const secret = 'AGE-SECRET-KEY-15J3EAQSFTSWQM4LNQA8H083JKC0S760WA772GLUVHMK8KLLPRACQCHDYLT';
const recipient = 'age19332g9awezwrxdx72vt9025rp2cfecygkqf828jg37cjdputxfsqygx5g8';

describe('parseAgeIdentities', () => {
  test('gives each key with the recipient that age-keygen tells of it, and skips comments', () => {
    expect(parseAgeIdentities(`# created: today\n\n${secret}\r\n`)).toEqual([{ secret, recipient }]);
  });

  test('takes a post-quantum key as it is', () => {
    const secret = 'AGE-SECRET-KEY-PQ-1QQQQ';

    expect(parseAgeIdentities(secret)).toEqual([{ secret, recipient: 'age post-quantum key' }]);
  });

  test.each([
    [
      'a key with a wrong letter',
      secret.replace(/.$/, (last) => (last === 'Q' ? 'P' : 'Q')),
      'line 1 is no age private',
    ],
    ['a recipient', recipient, 'line 1 is no age private key'],
    ['a plugin', '\nAGE-PLUGIN-YUBIKEY-1QQQQQQ', 'line 2 is the identity of an age plugin'],
    ['a file without a key', '# nothing\n', 'holds no age private key'],
  ])('refuses %s without showing it', (_, text, message) => {
    expect(() => parseAgeIdentities(text)).toThrow(message);
    expect(() => parseAgeIdentities(text)).not.toThrow(text.trim());
  });
});

describe('Bech32', () => {
  test('comes back as it went in', () => {
    for (const length of [0, 1, 31, 32, 33]) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 37) & 255);
      expect(decodeBech32(encodeBech32('age', bytes))).toEqual({ prefix: 'age', bytes });
    }
  });

  test('is refused with a wrong checksum', () => {
    expect(decodeBech32('age1qqqqqqqqqq')).toBeUndefined();
    expect(decodeBech32('no separator')).toBeUndefined();
  });
});
