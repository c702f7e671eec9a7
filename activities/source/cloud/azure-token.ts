// Access tokens of Microsoft Entra ID: of an application, of the worker's own identity, or of a service account's.
import { createHash, createPrivateKey, createSign, type KeyObject, randomUUID, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Dispatcher } from 'undici';
import { formBody, requestJson } from '../http/bounded-request.ts';
import { dispatcherFor } from '../http/dispatcher.ts';
import { type AccessToken, tokenIn } from './access-token.ts';
import { annotationOf, type CloudAccount, type Environment } from './cloud-identity.ts';

/** An application of a tenant. */
export interface AzureApplication {
  tenantId: string;
  clientId: string;
  /** `https://login.microsoftonline.com` */
  authority: string;
}

export const defaultAuthority = 'https://login.microsoftonline.com';
/** What tokens are for. */
export const azureResources = {
  storage: 'https://storage.azure.com',
  devOps: '499b84ac-1321-427f-aa17-267ca6975798',
} as const;
/** Metadata servers are near, or not there at all. */
const metadataTimeoutMs = 3_000;
const assertionLifeSeconds = 600;

export async function tokenOfClientSecret(
  application: AzureApplication,
  clientSecret: string,
  resource: string,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<AccessToken> {
  return await tokenFor(application, resource, { client_secret: clientSecret }, dispatcher, signal);
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
  resource: string,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<AccessToken> {
  const assertion = certificateAssertion(application, certificate, Date.now());
  return await tokenFor(application, resource, assertionFields(assertion), dispatcher, signal);
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

/** For what, by which way. */
export interface AzureAccess {
  env: Environment;
  /** What the token is for: an address or an id, without `/.default`. */
  resource: string;
  /** Chooses one of several identities. */
  clientId?: string | undefined;
  /** For token services; metadata servers are asked directly. */
  dispatcher: Dispatcher;
}

/**
 * The token of the worker's own identity: of the environment (`AZURE_CLIENT_SECRET`, `AZURE_CLIENT_CERTIFICATE_PATH`),
 * workload identity (`AZURE_FEDERATED_TOKEN_FILE`), or the managed identity of the service (`IDENTITY_ENDPOINT`) or machine.
 * Fails with an `Error` when there is none.
 */
export async function ambientAzureToken(azure: AzureAccess, signal: AbortSignal): Promise<AccessToken> {
  const { env, resource, dispatcher } = azure;
  const tenantId = env['AZURE_TENANT_ID'];
  const clientId = azure.clientId ?? env['AZURE_CLIENT_ID'];
  if (tenantId && clientId) {
    const application = { tenantId, clientId, authority: authorityIn(env) };
    const clientSecret = env['AZURE_CLIENT_SECRET'];
    if (clientSecret) return await tokenOfClientSecret(application, clientSecret, resource, dispatcher, signal);
    const certificateFile = env['AZURE_CLIENT_CERTIFICATE_PATH'];
    if (certificateFile) {
      const pem = await readFile(certificateFile, 'utf8');
      const certificate = parseClientCertificate(pem, env['AZURE_CLIENT_CERTIFICATE_PASSWORD']);
      return await tokenOfCertificate(application, certificate, resource, dispatcher, signal);
    }
    const tokenFile = env['AZURE_FEDERATED_TOKEN_FILE'];
    if (tokenFile) {
      const assertion = (await readFile(tokenFile, 'utf8')).trim();
      return await tokenFor(application, resource, assertionFields(assertion), dispatcher, signal);
    }
  }
  return await managedIdentityToken(azure, AbortSignal.any([signal, AbortSignal.timeout(metadataTimeoutMs)]));
}

async function managedIdentityToken(
  { env, resource, clientId }: AzureAccess,
  signal: AbortSignal,
): Promise<AccessToken> {
  const [endpoint, header] = [env['IDENTITY_ENDPOINT'], env['IDENTITY_HEADER']];
  const isOfService = Boolean(endpoint && header);
  const host = (env['AZURE_POD_IDENTITY_AUTHORITY_HOST'] ?? 'http://169.254.169.254').replace(/\/+$/, '');
  const url = new URL(isOfService ? (endpoint ?? '') : `${host}/metadata/identity/oauth2/token`);
  url.searchParams.set('api-version', isOfService ? '2019-08-01' : '2018-02-01');
  url.searchParams.set('resource', resource);
  const chosen = clientId ?? env['AZURE_CLIENT_ID'];
  if (chosen) url.searchParams.set('client_id', chosen);
  const headers: Record<string, string> = isOfService ? { 'x-identity-header': header ?? '' } : { metadata: 'true' };
  try {
    return tokenIn(await requestJson(url, { headers }, dispatcherFor({}), signal));
  } catch (error) {
    throw new Error('the worker has no Azure identity of its own, and no managed identity could be asked for', {
      cause: error,
    });
  }
}

const tenantAnnotation = 'azure.workload.identity/tenant-id';
const clientAnnotation = 'azure.workload.identity/client-id';
const idPattern = /^[A-Za-z0-9.-]{1,100}$/;

/** The application that a service account's annotations name. Fails with AuthenticationFailed. */
export function applicationOf(account: CloudAccount, env: Environment): AzureApplication {
  const tenantId = annotationOf(account, tenantAnnotation, idPattern, '<id of the tenant>');
  const clientId = annotationOf(account, clientAnnotation, idPattern, '<id of the application>');
  return { tenantId, clientId, authority: authorityIn(env) };
}

/** The token of the application that trusts a service account of this cluster (workload identity, for an object's account). */
export async function azureTokenOfAccount(
  account: CloudAccount,
  { env, resource, dispatcher }: AzureAccess,
  signal: AbortSignal,
): Promise<AccessToken> {
  const application = applicationOf(account, env);
  const assertion = await account.token('api://AzureADTokenExchange', signal);
  return await tokenFor(application, resource, assertionFields(assertion), dispatcher, signal);
}

function authorityIn(env: Environment): string {
  return (env['AZURE_AUTHORITY_HOST'] ?? defaultAuthority).replace(/\/+$/, '');
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
  resource: string,
  proof: Record<string, string>,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<AccessToken> {
  const call = formBody({
    grant_type: 'client_credentials',
    client_id: application.clientId,
    scope: `${resource}/.default`,
    ...proof,
  });
  return tokenIn(await requestJson(tokenUrl(application), call, dispatcher, signal));
}
