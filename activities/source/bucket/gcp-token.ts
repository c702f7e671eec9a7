// Access tokens for Google Cloud Storage: of a service account's key, or of the worker's own account (contract 1.5).
import { createPrivateKey, createSign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Dispatcher } from 'undici';
import type { Environment } from './aws-credentials.ts';
import { formBody, requestJson } from './storage-request.ts';

export interface AccessToken {
  token: string;
  expiresMs: number;
}

const scope = 'https://www.googleapis.com/auth/devstorage.read_only';
const defaultTokenUri = 'https://oauth2.googleapis.com/token';
const lifeSeconds = 3600;

export interface ServiceAccountKey {
  clientEmail: string;
  privateKey: string;
  keyId: string | undefined;
  tokenUri: string;
}

/** The key that Google's console gives as JSON. Throws an `Error` that says which field is missing, and nothing of its value. */
export function parseServiceAccount(json: string): ServiceAccountKey {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(json) as Record<string, unknown>;
  } catch {
    throw new Error('is no JSON'); // the parser's own message quotes the text
  }
  const text = (name: string): string | undefined => {
    const value = fields?.[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  if (text('type') !== 'service_account')
    throw new Error('is no key of a service account: expected "type": "service_account"');
  const clientEmail = text('client_email');
  const privateKey = text('private_key');
  if (!clientEmail || !privateKey) throw new Error('has no "client_email" or no "private_key"');
  const tokenUri = text('token_uri') ?? defaultTokenUri;
  if (!/^https?:\/\//.test(tokenUri) || !URL.canParse(tokenUri))
    throw new Error('has a "token_uri" that is no address');
  try {
    createPrivateKey(privateKey);
  } catch {
    throw new Error('has a "private_key" that cannot be read: expected PEM');
  }
  return { clientEmail, privateKey, keyId: text('private_key_id'), tokenUri };
}

/** The signed assertion that is exchanged for a token. */
export function signedAssertion(key: ServiceAccountKey, nowMs: number): string {
  const issuedAt = Math.floor(nowMs / 1000);
  const parts = [
    { alg: 'RS256', typ: 'JWT', ...(key.keyId ? { kid: key.keyId } : {}) },
    { iss: key.clientEmail, scope, aud: key.tokenUri, iat: issuedAt, exp: issuedAt + lifeSeconds },
  ];
  const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${text}.${createSign('RSA-SHA256').update(text).sign(key.privateKey, 'base64url')}`;
}

export async function tokenOfServiceAccount(
  key: ServiceAccountKey,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<AccessToken> {
  const grant = {
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion: signedAssertion(key, Date.now()),
  };
  return tokenIn(await requestJson(key.tokenUri, formBody(grant), dispatcher, signal));
}

/** The token of the worker's own account: a key in GOOGLE_APPLICATION_CREDENTIALS, or the metadata server's. */
export async function ambientGcpToken(
  env: Environment,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<AccessToken> {
  const file = env['GOOGLE_APPLICATION_CREDENTIALS'];
  if (file) return await tokenOfServiceAccount(parseServiceAccount(await readFile(file, 'utf8')), dispatcher, signal);
  const host = env['GCE_METADATA_HOST'] ?? 'metadata.google.internal';
  const url = `http://${host}/computeMetadata/v1/instance/service-accounts/default/token`;
  const soon = AbortSignal.any([signal, AbortSignal.timeout(3_000)]);
  try {
    return tokenIn(await requestJson(url, { headers: { 'metadata-flavor': 'Google' } }, dispatcher, soon));
  } catch (error) {
    throw new Error('the worker has no Google credentials of its own, and no metadata server could be asked for', {
      cause: error,
    });
  }
}

/** The answer of an OAuth token service. */
export function tokenIn(json: Record<string, unknown>): AccessToken {
  const { access_token: token, expires_in: seconds } = json;
  if (typeof token !== 'string' || token === '') throw new Error('the token service answered without a token');
  const life = Number(seconds);
  return { token, expiresMs: Date.now() + (Number.isFinite(life) ? life : 300) * 1000 };
}
