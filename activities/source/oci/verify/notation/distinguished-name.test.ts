import { describe, expect, test } from 'vitest';
import { isSubsetOf, parseCertificateSubject, parseDistinguishedName } from './distinguished-name.ts';

const base = 'C=US, ST=WA, O=example';

describe('a distinguished name', () => {
  test.each<[string, string, string[][]]>([
    [
      'with spaces',
      'C=US,  ST = WA,O=example corp ',
      [
        ['C', 'US'],
        ['ST', 'WA'],
        ['O', 'example corp'],
      ],
    ],
    [
      'with S for ST',
      'C=US, S=WA, O=a',
      [
        ['C', 'US'],
        ['ST', 'WA'],
        ['O', 'a'],
      ],
    ],
    [
      'with escapes',
      `${base}, CN=a\\, b\\+c\\=d`,
      [
        ['C', 'US'],
        ['ST', 'WA'],
        ['O', 'example'],
        ['CN', 'a, b+c=d'],
      ],
    ],
    [
      'with bytes',
      `${base}, CN=Z\\C3\\BCrich`,
      [
        ['C', 'US'],
        ['ST', 'WA'],
        ['O', 'example'],
        ['CN', 'Zürich'],
      ],
    ],
    [
      'with letters beyond the basic plane',
      `${base}, CN=a😀`,
      [
        ['C', 'US'],
        ['ST', 'WA'],
        ['O', 'example'],
        ['CN', 'a😀'],
      ],
    ],
    [
      'with a space at its end',
      `${base}, CN=a\\ `,
      [
        ['C', 'US'],
        ['ST', 'WA'],
        ['O', 'example'],
        ['CN', 'a '],
      ],
    ],
  ])('is read %s', (_what, text, attributes) => {
    expect([...parseDistinguishedName(text)]).toEqual(attributes);
  });

  test.each<[string, string, RegExp]>([
    ['without a country', 'ST=WA, O=a', /has no "C"$/],
    ['with an attribute twice', `${base}, O=b`, /has "O" twice$/],
    ['with joined attributes', `${base}, CN=a+OU=b`, /joins attributes by "\+"/],
    ['with a hexadecimal value', `${base}, CN=#04024869`, /hexadecimal/],
    ['with a part that is none', `${base}, x`, /a part without "="/],
  ])('is refused %s', (_what, text, message) => {
    expect(() => parseDistinguishedName(text)).toThrow(message);
  });
});

test('the subject of a certificate is read as node prints it', () => {
  expect([...parseCertificateSubject('C=US\nST=WA\nO=a\\, b\nCN=x')]).toEqual([
    ['CN', 'x'],
    ['O', 'a, b'],
    ['ST', 'WA'],
    ['C', 'US'],
  ]);
});

test('a name is within another when all of its attributes are the same there', () => {
  const whole = parseDistinguishedName(`${base}, CN=x`);
  expect(isSubsetOf(parseDistinguishedName(base), whole)).toBe(true);
  expect(isSubsetOf(whole, parseDistinguishedName(base))).toBe(false);
  expect(isSubsetOf(parseDistinguishedName('C=US, ST=WA, O=other'), whole)).toBe(false);
});
