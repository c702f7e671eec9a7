// Access tokens of Microsoft Entra ID for Azure Blob Storage (contract 1.5).
import { createHash, createPrivateKey, createSign, type KeyObject, randomUUID, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Dispatcher } from 'undici';
import type { Environment } from './aws-credentials.ts';
import { type AccessToken, tokenIn } from './gcp-token.ts';
import { formBody, requestJson } from './storage-request.ts';

/** An application of a tenant. */
export interface AzureApplication {
  tenantId: string;
  clientId: string;
  /** `https://login.microsoftonline.com` */
  authority: string;
}

export const defaultAuthority = 'https://login.microsoftonline.com';
const resource = 'https://storage.azure.com/';
const assertionLifeSeconds = 600;

export async function tokenOfClientSecret(
  application: AzureApplication,
  clientSecret: string,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<AccessToken> {
  return await tokenFor(application, { client_secret: clientSecret }, dispatcher, signal);
}

export interface ClientCertificate {
  certificate: X509Certificate;
  key: KeyObject;
}

/** A certificate and its key, both PEM in one text. Throws an `Error` that quotes nothing of it. */
export function parseClientCertificate(pem: string, password: string | undefined): ClientCertificate {
  if (!pem.includes('-----BEGIN')) throw new Error('is not PEM: expected a certificate and its private key in PEM');
  try {
    const certificate = new X509Certificate(pem);
    const keyText = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]+?-----END [A-Z ]*PRIVATE KEY-----/.exec(pem)?.[0];
    return { certificate, key: createPrivateKey({ key: keyText ?? '', passphrase: password }) };
  } catch {
    throw new Error(
      'cannot be read: expected a certificate and its private key in PEM, and the password if it has one',
    );
  }
}

export async function tokenOfCertificate(
  application: AzureApplication,
  certificate: ClientCertificate,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<AccessToken> {
  const assertion = certificateAssertion(application, certificate, Date.now());
  return await tokenFor(application, assertionFields(assertion), dispatcher, signal);
}

/** The assertion that the holder of the certificate signs. */
export function certificateAssertion(
  application: AzureApplication,
  { certificate, key }: ClientCertificate,
  nowMs: number,
): string {
  const issuedAt = Math.floor(nowMs / 1000);
  const parts = [
    { alg: 'RS256', typ: 'JWT', x5t: createHash('sha1').update(certificate.raw).digest('base64url') },
    {
      aud: tokenUrl(application),
      iss: application.clientId,
      sub: application.clientId,
      jti: randomUUID(),
      nbf: issuedAt,
      exp: issuedAt + assertionLifeSeconds,
    },
  ];
  const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${text}.${createSign('RSA-SHA256').update(text).sign(key, 'base64url')}`;
}

/**
 * The token of the worker's own identity: workload identity where the environment has it, else the managed identity of
 * the machine, chosen by `clientId` if there are several. Fails with an `Error` when there is none.
 */
export async function ambientAzureToken(
  env: Environment,
  clientId: string | undefined,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<AccessToken> {
  const tokenFile = env['AZURE_FEDERATED_TOKEN_FILE'];
  const tenantId = env['AZURE_TENANT_ID'];
  const federated = clientId ?? env['AZURE_CLIENT_ID'];
  if (tokenFile && tenantId && federated) {
    const authority = (env['AZURE_AUTHORITY_HOST'] ?? defaultAuthority).replace(/\/+$/, '');
    const assertion = (await readFile(tokenFile, 'utf8')).trim();
    return await tokenFor({ tenantId, clientId: federated, authority }, assertionFields(assertion), dispatcher, signal);
  }
  const base = env['AZURE_POD_IDENTITY_AUTHORITY_HOST'] ?? 'http://169.254.169.254';
  const query = new URLSearchParams({
    'api-version': '2018-02-01',
    resource,
    ...(clientId ? { client_id: clientId } : {}),
  });
  const soon = AbortSignal.any([signal, AbortSignal.timeout(3_000)]);
  try {
    const url = `${base.replace(/\/+$/, '')}/metadata/identity/oauth2/token?${query.toString()}`;
    return tokenIn(await requestJson(url, { headers: { metadata: 'true' } }, dispatcher, soon));
  } catch (error) {
    throw new Error('the worker has no Azure identity of its own, and no managed identity could be asked for', {
      cause: error,
    });
  }
}

function assertionFields(assertion: string): Record<string, string> {
  return {
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
  };
}

function tokenUrl({ authority, tenantId }: AzureApplication): string {
  return `${authority}/${encodeURIComponent(tenantId)}/oauth2/v2.0/token`;
}

async function tokenFor(
  application: AzureApplication,
  proof: Record<string, string>,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<AccessToken> {
  const call = formBody({
    grant_type: 'client_credentials',
    client_id: application.clientId,
    scope: `${resource}.default`,
    ...proof,
  });
  return tokenIn(await requestJson(tokenUrl(application), call, dispatcher, signal));
}
