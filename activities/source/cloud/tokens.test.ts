import { expect, it } from 'vitest';
import { tokenIn } from './access-token.ts';
import { parseFederation } from './gcp-federation.ts';

it('a token ends as its service says, in seconds from now or since 1970, as numbers or as text', () => {
  const now = Date.now();
  expect(tokenIn({ access_token: 'a', expires_in: 60 }).expiresMs - now).toBeCloseTo(60_000, -3);
  expect(tokenIn({ access_token: 'a', expires_in: '60' }).expiresMs - now).toBeCloseTo(60_000, -3);
  expect(tokenIn({ access_token: 'a', expires_on: '1795000000' }).expiresMs).toBe(1_795_000_000_000);
  expect(tokenIn({ access_token: 'a' }).expiresMs - now).toBeCloseTo(300_000, -3);
});

it.each([{}, { access_token: '' }, { access_token: 'a\r\nb: c' }, { access_token: 1 }])(
  'an answer without a usable token is refused: %j',
  (json) => {
    expect(() => tokenIn(json)).toThrow('answered without a token');
  },
);

const federation = {
  type: 'external_account',
  audience: '//iam.googleapis.com/x',
  credential_source: { file: '/var/run/token', format: { type: 'json', subject_token_field_name: 'token' } },
};

it('a federation is read with its defaults, and a key is none', () => {
  expect(parseFederation(JSON.stringify(federation))).toEqual({
    audience: '//iam.googleapis.com/x',
    subjectTokenType: 'urn:ietf:params:oauth:token-type:jwt',
    tokenUrl: 'https://sts.googleapis.com/v1/token',
    impersonationUrl: undefined,
    tokenFile: '/var/run/token',
    tokenField: 'token',
  });
  expect(parseFederation('{"type":"service_account"}')).toBeUndefined();
});

it.each([
  ['{"type": "private-thing', 'is no JSON'],
  [JSON.stringify({ ...federation, credential_source: { url: 'http://169.254.169.254' } }), '"credential_source.file"'],
  [JSON.stringify({ ...federation, audience: '' }), 'without "audience"'],
  [JSON.stringify({ ...federation, token_url: 'x' }), 'no address'],
])('a federation that cannot be used is refused: %s', (json, message) => {
  expect(() => parseFederation(json)).toThrow(message);
});
