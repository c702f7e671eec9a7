import { expect, test } from 'vitest';
import { compareResourceVersions } from './resource-version.ts';

test.each<[string, string, number]>([
  ['1', '2', -1],
  ['10', '9', 1],
  ['', '1', -1],
  ['77', '77', 0],
  ['9007199254740993', '9007199254740992', 1],
  ['99999999999999999999', '100000000000000000000', -1],
])('orders %s and %s', (a, b, sign) => {
  expect(Math.sign(compareResourceVersions(a, b))).toBe(sign);
});
