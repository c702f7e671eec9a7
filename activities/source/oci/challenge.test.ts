import { describe, expect, it } from 'vitest';
import { parseChallenge } from './challenge.ts';

describe('parseChallenge', () => {
  it.each([
    [undefined, undefined],
    ['', undefined],
    ['Basic realm="registry"', { scheme: 'basic' }],
    ['basic', { scheme: 'basic' }],
    ['Negotiate', undefined],
    ['Bearer service="registry"', undefined],
    [
      'Bearer realm="https://auth.test/token",service="registry.test",scope="repository:a/b:pull"',
      { scheme: 'bearer', realm: 'https://auth.test/token', service: 'registry.test', scope: 'repository:a/b:pull' },
    ],
    [
      'bearer  REALM = x , realm=https://auth.test/token , service=plain',
      { scheme: 'bearer', realm: 'https://auth.test/token', service: 'plain', scope: undefined },
    ],
    [
      'Basic realm="first", Bearer realm="https://auth.test/t",scope="a,b \\"c\\""',
      { scheme: 'bearer', realm: 'https://auth.test/t', service: undefined, scope: 'a,b "c"' },
    ],
  ])('reads %j', (header, expected) => {
    expect(parseChallenge(header)).toEqual(expected);
  });

  it('takes several header lines as one', () => {
    expect(parseChallenge(['Basic realm="a"', 'Bearer realm="https://b.test"'])).toMatchObject({
      realm: 'https://b.test',
    });
  });

  it('reads hostile headers in linear time, and very long ones not at all', () => {
    expect(parseChallenge(`Bearer realm="${'\\"'.repeat(4000)}`)).toBeUndefined();
    expect(parseChallenge(`Bearer ${','.repeat(8000)}`)).toBeUndefined();
    expect(parseChallenge(`Bearer realm="${'x'.repeat(10_000)}"`)).toBeUndefined();
  });
});
