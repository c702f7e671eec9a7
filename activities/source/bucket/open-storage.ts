// From a Bucket's spec and Secrets to its storage, opened (contract 1.5).
import type { Dispatcher } from 'undici';
import type { Bucket, BucketSpec } from '../../../k8s/api/bucket.ts';
import { failure, messageOf } from '../../errors.ts';
import { describeRemoteError } from '../git/remote-error.ts';
import { dispatcherFor } from '../http/dispatcher.ts';
import { certSecret, proxySecret, type ProxySettings, type SecretData, secretText } from '../http/tls-secret.ts';
import { ambientAwsCredentials, credentialsFromLdap, type Environment } from './aws-credentials.ts';
import { accountOf, type AzureAuthorization, createAzureStorage } from './azure-storage.ts';
import {
  ambientAzureToken,
  defaultAuthority,
  parseClientCertificate,
  tokenOfCertificate,
  tokenOfClientSecret,
} from './azure-token.ts';
import { type BucketStorage, StorageRefusal } from './bucket-storage.ts';
import { kept } from './kept-credentials.ts';
import { endpointUrl } from './endpoint.ts';
import { type AccessToken, ambientGcpToken, parseServiceAccount, tokenOfServiceAccount } from './gcp-token.ts';
import { createGcsStorage } from './gcs-storage.ts';
import { createS3Storage } from './s3-storage.ts';

export interface OpenStorageDeps {
  readSecret(namespace: string, name: string): Promise<SecretData>;
  /** Where the worker's own credentials are found. @default process.env */
  env?: Environment;
  /** True for hosts that may be sent the worker's own tokens. @default those of the three clouds */
  isCloudHost?: (hostname: string) => boolean;
}

/** The Secret of `spec.secretRef`. */
interface Credentials {
  /** `Secret "apps/keys"` */
  origin: string;
  data: Record<string, Uint8Array>;
}

const cloudHosts =
  /\.(amazonaws\.com(\.cn)?|googleapis\.com|blob\.core\.(windows\.net|chinacloudapi\.cn|usgovcloudapi\.net))$/;

/**
 * Opens the storage of a Bucket; nothing is sent yet. Fails with AuthenticationFailed, InvalidSTSConfiguration,
 * URLInvalid (of the token service), FeatureGateDisabled or BucketOperationFailed (of the endpoint).
 */
export async function openStorage(object: Bucket, deps: OpenStorageDeps): Promise<BucketStorage> {
  const { spec } = object;
  checkSts(spec);
  if (spec.serviceAccountName) {
    throw failure(
      'FeatureGateDisabled',
      'spec.serviceAccountName needs workload identity for each object, which is off: remove it',
    );
  }
  const endpoint = endpointUrl(spec);
  const namespace = object.metadata.namespace ?? '';
  const read = (name: string): Promise<SecretData> => deps.readSecret(namespace, name);
  const proxy = spec.proxySecretRef
    ? proxySecret(`${namespace}/${spec.proxySecretRef.name}`, await read(spec.proxySecretRef.name))
    : undefined;
  const tls = spec.certSecretRef
    ? certSecret(`${namespace}/${spec.certSecretRef.name}`, await read(spec.certSecretRef.name))
    : undefined;
  const open: Opening = {
    spec,
    endpoint,
    namespace,
    read,
    proxy,
    dispatcher: dispatcherFor({ ...(tls ? { tls } : {}), ...(proxy ? { proxy } : {}) }),
    secret: spec.secretRef ? await secretOf(namespace, spec.secretRef.name, read) : undefined,
    env: deps.env ?? process.env,
    isCloudHost: deps.isCloudHost ?? ((hostname) => cloudHosts.test(hostname)),
  };
  switch (spec.provider) {
    case 'gcp':
      return openGcs(open);
    case 'azure':
      return openAzure(open);
    case 'aws':
    case 'generic':
      return await openS3(open);
  }
}

interface Opening {
  spec: BucketSpec;
  endpoint: string;
  namespace: string;
  read(name: string): Promise<SecretData>;
  proxy: ProxySettings | undefined;
  dispatcher: Dispatcher;
  secret: Credentials | undefined;
  env: Environment;
  isCloudHost(hostname: string): boolean;
}

function checkSts({ provider, sts }: BucketSpec): void {
  if (!sts) return;
  const wanted = provider === 'aws' ? 'aws' : 'ldap';
  if ((provider !== 'aws' && provider !== 'generic') || sts.provider !== wanted) {
    throw failure(
      'InvalidSTSConfiguration',
      `spec.sts.provider "${sts.provider}" does not go with spec.provider "${provider}": "aws" goes with "aws", "ldap" with "generic"`,
    );
  }
  if (sts.provider === 'aws' && (sts.secretRef ?? sts.certSecretRef)) {
    throw failure(
      'InvalidSTSConfiguration',
      'spec.sts.secretRef and spec.sts.certSecretRef are for "ldap" only: remove them',
    );
  }
  if (!URL.canParse(sts.endpoint) || !/^https?:$/.test(new URL(sts.endpoint).protocol)) {
    throw failure('URLInvalid', 'spec.sts.endpoint is not valid: expected "https://<host>"');
  }
}

async function secretOf(namespace: string, name: string, read: Opening['read']): Promise<Credentials> {
  const origin = `Secret "${namespace}/${name}"`;
  const data = await read(name);
  if (!data) throw refuse(`${origin} named by spec.secretRef does not exist`);
  return { origin, data };
}

async function openS3(open: Opening): Promise<BucketStorage> {
  const { spec, endpoint, dispatcher } = open;
  const { bucketName: bucket, region } = spec;
  const connection = { endpoint, bucket, region, dispatcher };
  const credentials = await s3Credentials(open);
  return createS3Storage({ ...connection, credentials }, spec.prefix ?? '');
}

async function s3Credentials(open: Opening): Promise<Parameters<typeof createS3Storage>[0]['credentials']> {
  const { spec, secret, env } = open;
  if (secret) {
    const accessKeyId = secretText(secret.data, 'accesskey')?.trim();
    const secretAccessKey = secretText(secret.data, 'secretkey')?.trim();
    if (!accessKeyId || !secretAccessKey) {
      throw refuse(`${secret.origin} ${keysOf(secret)}: expected "accesskey" and "secretkey"`);
    }
    return async () => ({ accessKeyId, secretAccessKey });
  }
  if (spec.provider === 'aws') {
    const sts = spec.sts?.endpoint;
    if (sts && !open.isCloudHost(new URL(sts).hostname)) {
      throw failure(
        'InvalidSTSConfiguration',
        'spec.sts.endpoint is no host of AWS, and would be sent the identity of the worker',
      );
    }
    const { proxy } = open;
    const aws = { env, region: spec.region, dispatcher: dispatcherFor(proxy ? { proxy } : {}) };
    const ask = (signal: AbortSignal) =>
      ambientAwsCredentials({ ...aws, ...(sts ? { stsEndpoint: sts } : {}) }, signal);
    return (signal) => loggingIn('the identity of the worker', ['aws', sts, spec.region, proxy, env], ask, signal);
  }
  if (spec.sts?.provider === 'ldap') return await ldapCredentials(open, spec.sts);
  return async () => undefined;
}

async function ldapCredentials(open: Opening, sts: NonNullable<BucketSpec['sts']>) {
  const { namespace, read, proxy } = open;
  const data = sts.secretRef ? (await secretOf(namespace, sts.secretRef.name, read)).data : {};
  const username = secretText(data, 'username') ?? '';
  const password = secretText(data, 'password') ?? '';
  if (sts.secretRef && (!username || !password)) {
    throw refuse(
      `Secret "${namespace}/${sts.secretRef.name}" named by spec.sts.secretRef needs "username" and "password"`,
    );
  }
  const tls = sts.certSecretRef
    ? certSecret(`${namespace}/${sts.certSecretRef.name}`, await read(sts.certSecretRef.name))
    : undefined;
  const dispatcher = dispatcherFor({ ...(tls ? { tls } : {}), ...(proxy ? { proxy } : {}) });
  const ask = (signal: AbortSignal) => credentialsFromLdap(sts.endpoint, { username, password }, dispatcher, signal);
  const service = `the token service at "${new URL(sts.endpoint).host}"`;
  return (signal: AbortSignal) => loggingIn(service, ['ldap', sts.endpoint, username, password, tls], ask, signal);
}

function openGcs(open: Opening): BucketStorage {
  const { spec, endpoint, secret, dispatcher, env } = open;
  const connection = { endpoint, bucket: spec.bucketName, dispatcher };
  if (!secret) {
    checkOwnTokens(open);
    const ask = (signal: AbortSignal) => ambientGcpToken(env, dispatcherFor({}), signal);
    const token = tokenOf('the identity of the worker', ['gcp', env], ask);
    return createGcsStorage({ ...connection, token }, spec.prefix ?? '');
  }
  const json = secretText(secret.data, 'serviceaccount');
  if (!json) throw refuse(`${secret.origin} ${keysOf(secret)}: expected "serviceaccount"`);
  const key = reading(`"serviceaccount" of ${secret.origin}`, () => parseServiceAccount(json));
  const token = tokenOf(`the token service at "${new URL(key.tokenUri).host}"`, ['gcp', key], (signal) =>
    tokenOfServiceAccount(key, dispatcher, signal),
  );
  return createGcsStorage({ ...connection, token }, spec.prefix ?? '');
}

function openAzure(open: Opening): BucketStorage {
  const { spec, endpoint, dispatcher } = open;
  const authorization = azureAuthorization(open);
  return createAzureStorage({ endpoint, container: spec.bucketName, authorization, dispatcher }, spec.prefix ?? '');
}

function azureAuthorization(open: Opening): AzureAuthorization {
  const { secret, endpoint, dispatcher, env } = open;
  const text = (key: string): string | undefined => secretText(secret?.data, key)?.trim() || undefined;
  const [tenantId, clientId] = [text('tenantId'), text('clientId')];
  const authority = (text('authorityHost') ?? defaultAuthority).replace(/\/+$/, '');
  const loginName = `the token service at "${URL.canParse(authority) ? new URL(authority).host : authority}"`;
  const clientSecret = text('clientSecret');
  const certificate = text('clientCertificate');
  if (tenantId && clientId && clientSecret) {
    const application = { tenantId, clientId, authority };
    const ask = (signal: AbortSignal) => tokenOfClientSecret(application, clientSecret, dispatcher, signal);
    return { type: 'token', token: tokenOf(loginName, ['azure', application, clientSecret], ask) };
  }
  if (tenantId && clientId && certificate) {
    const application = { tenantId, clientId, authority };
    const parsed = reading(`"clientCertificate" of ${secret?.origin}`, () =>
      parseClientCertificate(certificate, text('clientCertificatePassword')),
    );
    const ask = (signal: AbortSignal) => tokenOfCertificate(application, parsed, dispatcher, signal);
    return { type: 'token', token: tokenOf(loginName, ['azure', application, certificate], ask) };
  }
  const accountKey = text('accountKey');
  if (accountKey) {
    const key = Buffer.from(accountKey, 'base64');
    if (key.length === 0) throw refuse(`"accountKey" of ${secret?.origin} is not base64`);
    return { type: 'sharedKey', account: accountOf(endpoint), key };
  }
  const sasKey = text('sasKey');
  if (sasKey) return { type: 'sas', query: sasKey.replace(/^\?/, '') };
  if (secret && !clientId) {
    throw refuse(
      `${secret.origin} ${keysOf(secret)}: expected "accountKey", "sasKey", "clientId", or "tenantId", "clientId" and "clientSecret" or "clientCertificate"`,
    );
  }
  checkOwnTokens(open);
  const ask = (signal: AbortSignal) => ambientAzureToken(env, clientId, dispatcherFor({}), signal);
  return { type: 'token', token: tokenOf('the identity of the worker', ['azure', clientId, env], ask) };
}

/** A token of the worker opens more than this bucket: it goes to the cloud that it is for, and nowhere else. */
function checkOwnTokens({ endpoint, isCloudHost, spec }: Opening): void {
  if (new URL(endpoint).protocol === 'https:' && isCloudHost(new URL(endpoint).hostname)) return;
  throw refuse(
    `spec.endpoint is no host of provider "${spec.provider}", so it is not sent the identity of the worker: name a Secret in spec.secretRef`,
  );
}

function tokenOf(service: string, id: unknown, ask: (signal: AbortSignal) => Promise<AccessToken>) {
  return async (signal: AbortSignal): Promise<string> => (await loggingIn(service, id, ask, signal)).token;
}

/** What a token service gives; it is asked again shortly before that ends. */
async function loggingIn<T extends { expiresMs?: number }>(
  service: string,
  id: unknown,
  ask: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  try {
    return await kept(id, () => ask(signal));
  } catch (error) {
    signal.throwIfAborted();
    const why = error instanceof StorageRefusal ? `: ${messageOf(error)}` : ` ${describeRemoteError(error)}`;
    throw failure('AuthenticationFailed', `${service} gave no credentials${why.replace(' : ', ': ')}`, {
      cause: error,
    });
  }
}

function reading<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw refuse(`${what} ${messageOf(error)}`);
  }
}

function keysOf({ data }: Credentials): string {
  const keys = Object.keys(data).sort();
  return keys.length > 0 ? `has keys ${keys.map((key) => `"${key}"`).join(', ')}` : 'is empty';
}

function refuse(message: string): ReturnType<typeof failure> {
  return failure('AuthenticationFailed', message);
}
