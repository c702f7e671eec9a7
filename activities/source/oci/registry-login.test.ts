import { describe, expect, it } from 'vitest';
import { parseToken, scopeOf } from './registry-login.ts';

const parse = (body: string) => parseToken(Buffer.from(body), 'token server', 1_000_000);

describe('parseToken', () => {
  it.each([
    ['{"token":"abc"}', { value: 'abc', expiresAtMs: 1_050_000 }],
    ['{"access_token":"abc","expires_in":300}', { value: 'abc', expiresAtMs: 1_290_000 }],
    ['{"token":"abc","expires_in":10}', { value: 'abc', expiresAtMs: 1_005_000 }],
    ['{"token":"abc","expires_in":"soon"}', { value: 'abc', expiresAtMs: 1_050_000 }],
  ])('reads %s', (body, expected) => {
    expect(parse(body)).toEqual(expected);
  });

  it.each(['', 'null', '{}', '{"token":""}', '{"token":7}', '{"token":"a b"}', '{"token":"a\\nb"}'])(
    'refuses %j',
    (body) => {
      expect(() => parse(body)).toThrow('token server gave an answer');
    },
  );
});

it('names scopes as token servers do', () => {
  expect(scopeOf({ repository: 'a/b', isPush: false })).toBe('repository:a/b:pull');
  expect(scopeOf({ repository: 'a/b', isPush: true })).toBe('repository:a/b:pull,push');
});
