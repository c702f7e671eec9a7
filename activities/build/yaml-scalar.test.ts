import { describe, expect, test } from 'vitest';
import { resolveScalar, resolveYaml11Scalar } from './yaml-scalar.ts';

describe('resolveScalar', () => {
  test.each<[string, unknown]>([
    ['0644', 420],
    ['0o644', 420],
    ['-0x10', -16],
    ['0b11', 3],
    ['1_000', 1000],
    ['08', 8],
    ['0o8', '0o8'],
    ['1e3', 1000],
    ['1.50', 1.5],
    ['1e400', '1e400'],
    ['-0', 0],
    ['18446744073709551616', 18446744073709552000],
    ['yes', 'yes'],
    ['On', 'On'],
    ['True', true],
    ['Null', null],
    ['~', null],
    ['', null],
    ['1:20', '1:20'],
    ['1.2.3', '1.2.3'],
    ['-', '-'],
  ])('%j is %j', (text, value) => {
    expect(resolveScalar(text)).toEqual({ value, isDelicate: false });
  });

  test.each(['2001-01-01', '2001-1-1', '2001-01-01T00:00:00Z', '2001-01-01 00:00:00'])(
    '%s is delicate text',
    (text) => {
      expect(resolveScalar(text)).toEqual({ value: text, isDelicate: true });
    },
  );

  test.each(['9007199254740993', '-9007199254740993', '12345678901234567890', '0xFFFFFFFFFFFFFFFF'])(
    '%s is refused, as it would lose digits',
    (text) => {
      expect(() => resolveScalar(text)).toThrow(/would lose digits/);
      expect(resolveScalar(text, true).value).toBeTypeOf('number');
    },
  );

  test.each(['.inf', '-.INF', '.nan'])('%s is refused, as JSON has no such number', (text) => {
    expect(() => resolveScalar(text)).toThrow(`${text} is not a number that an object can hold`);
  });
});

describe('by the rules of YAML 1.1', () => {
  test.each<[string, unknown]>([
    ...['y', 'Y', 'yes', 'Yes', 'YES', 'on', 'On', 'ON', 'true', 'True', 'TRUE'].map((word): [string, unknown] => [
      word,
      true,
    ]),
    ...['n', 'N', 'no', 'No', 'NO', 'off', 'Off', 'OFF', 'false', 'False'].map((word): [string, unknown] => [
      word,
      false,
    ]),
    ...['yEs', 'oN', 'yess', '<<', '='].map((word): [string, unknown] => [word, word]),
    ['~', null],
    ['0o17', 15],
    ['1_000', 1000],
  ])('%s is %j', (text, value) => {
    expect(resolveYaml11Scalar(text).value).toBe(value);
  });
});
