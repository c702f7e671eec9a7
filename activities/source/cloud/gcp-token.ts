// Access tokens of Google Cloud: of a service account's key, of the worker's own account, or in exchange for a token of
// somebody whom Google has been told to trust (workload identity federation).
import { createPrivateKey, createSign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Dispatcher } from 'undici';
import { messageOf } from '../../errors.ts';
import { formBody, requestJson } from '../http/bounded-request.ts';
import { type AccessToken, tokenIn } from './access-token.ts';
import type { Environment } from './cloud-identity.ts';
import { parseFederation, tokenOfFederation } from './gcp-federation.ts';
import { readMetadata } from './gcp-metadata.ts';

/** What a token is good for: reading buckets, or all that its owner may do. */
export const readBuckets = 'https://www.googleapis.com/auth/devstorage.read_only';
export const cloudPlatform = 'https://www.googleapis.com/auth/cloud-platform';

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
export function signedAssertion(key: ServiceAccountKey, scope: string, nowMs: number): string {
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
  scope: string,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<AccessToken> {
  const grant = {
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion: signedAssertion(key, scope, Date.now()),
  };
  return tokenIn(await requestJson(key.tokenUri, formBody(grant), dispatcher, signal));
}

/**
 * The token of the worker's own account: a key or a federation (`external_account`) in the file that
 * GOOGLE_APPLICATION_CREDENTIALS names, or the metadata server's. `dispatcher` is for token services; the metadata server
 * is asked directly. Fails with an `Error` when there is none.
 */
export async function ambientGcpToken(
  env: Environment,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<AccessToken> {
  const file = env['GOOGLE_APPLICATION_CREDENTIALS'];
  if (file) {
    const json = await readFile(file, 'utf8');
    try {
      const federation = parseFederation(json);
      if (federation) return await tokenOfFederation(federation, cloudPlatform, dispatcher, signal);
      return await tokenOfServiceAccount(parseServiceAccount(json), cloudPlatform, dispatcher, signal);
    } catch (error) {
      throw new Error(`GOOGLE_APPLICATION_CREDENTIALS: ${messageOf(error)}`, { cause: error });
    }
  }
  try {
    return tokenIn(JSON.parse(await readMetadata(env, 'instance/service-accounts/default/token', signal)));
  } catch (error) {
    throw new Error('the worker has no Google credentials of its own, and no metadata server could be asked for', {
      cause: error,
    });
  }
}
