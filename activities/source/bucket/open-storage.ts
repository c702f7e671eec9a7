// From a Bucket's spec and Secrets to its storage, opened (contract 1.5).
import type { Dispatcher } from 'undici';
import type { Bucket, BucketSpec } from '../../../k8s/api/bucket.ts';
import { failure, messageOf } from '../../errors.ts';
import type { AccessToken } from '../cloud/access-token.ts';
import { credentialsFromLdap } from '../cloud/aws-credentials.ts';
import {
  azureResources,
  defaultAuthority,
  parseClientCertificate,
  tokenOfCertificate,
  tokenOfClientSecret,
} from '../cloud/azure-token.ts';
import type { CloudIdentity } from '../cloud/cloud-identity.ts';
import type { CloudLogins } from '../cloud/cloud-logins.ts';
import { parseServiceAccount, readBuckets, tokenOfServiceAccount } from '../cloud/gcp-token.ts';
import { logIn } from '../cloud/log-in.ts';
import { dispatcherFor } from '../http/dispatcher.ts';
import { certSecret, proxySecret, type ProxySettings, type SecretData, secretText } from '../http/tls-secret.ts';
import { accountOf, type AzureAuthorization, createAzureStorage } from './azure-storage.ts';
import type { BucketStorage } from './bucket-storage.ts';
import { endpointUrl } from './endpoint.ts';
import { createGcsStorage } from './gcs-storage.ts';
import { createS3Storage } from './s3-storage.ts';

export interface OpenStorageDeps {
  readSecret(namespace: string, name: string): Promise<SecretData>;
  logins: CloudLogins;
}

/** The Secret of `spec.secretRef`. */
interface Credentials {
  /** `Secret "apps/keys"` */
  origin: string;
  data: Record<string, Uint8Array>;
}

/** Hosts that the clouds themselves run; others, such as those of API gateways, belong to whoever rents them. */
const cloudHosts = {
  aws: /^(?:.+\.)?sts(?:-fips)?(?:\.[a-z0-9-]+)?(?:\.vpce)?\.amazonaws\.com(?:\.cn)?$/,
  gcp: /\.googleapis\.com$/,
  azure: /\.blob\.core\.(?:windows\.net|chinacloudapi\.cn|usgovcloudapi\.net)$/,
} as const;

/**
 * Opens the storage of a Bucket; nothing is sent yet. Fails with AuthenticationFailed, InvalidSTSConfiguration,
 * URLInvalid (of the token service), FeatureGateDisabled or BucketOperationFailed (of the endpoint).
 */
export async function openStorage(object: Bucket, deps: OpenStorageDeps): Promise<BucketStorage> {
  const { spec } = object;
  checkSts(spec);
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
    identity: { namespace, serviceAccountName: spec.serviceAccountName },
    logins: deps.logins,
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
  identity: CloudIdentity;
  logins: CloudLogins;
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
  const { spec, secret } = open;
  if (secret) {
    const accessKeyId = secretText(secret.data, 'accesskey')?.trim();
    const secretAccessKey = secretText(secret.data, 'secretkey')?.trim();
    if (!accessKeyId || !secretAccessKey) {
      throw refuse(`${secret.origin} ${keysOf(secret)}: expected "accesskey" and "secretkey"`);
    }
    return async () => ({ accessKeyId, secretAccessKey });
  }
  if (spec.provider === 'aws') {
    const { identity, logins, proxy } = open;
    const stsEndpoint = spec.sts?.endpoint;
    if (stsEndpoint && !isHostOf('aws', stsEndpoint)) {
      throw failure(
        'InvalidSTSConfiguration',
        'spec.sts.endpoint is no host of AWS STS with "https://", and would be sent the identity of the worker or of an account: expected "https://sts.<region>.amazonaws.com"',
      );
    }
    return (signal) => logins.aws(identity, { region: spec.region, stsEndpoint, proxy }, signal);
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
  return (signal: AbortSignal) => logIn(service, ['ldap', sts.endpoint, username, password, tls], ask, signal);
}

function openGcs(open: Opening): BucketStorage {
  const { spec, endpoint, secret, dispatcher, identity, logins, proxy } = open;
  const connection = { endpoint, bucket: spec.bucketName, dispatcher };
  if (!secret) {
    checkOwnTokens('gcp', endpoint);
    const token = async (signal: AbortSignal) => (await logins.gcp(identity, { proxy }, signal)).token;
    return createGcsStorage({ ...connection, token }, spec.prefix ?? '');
  }
  const json = secretText(secret.data, 'serviceaccount');
  if (!json) throw refuse(`${secret.origin} ${keysOf(secret)}: expected "serviceaccount"`);
  const key = reading(`"serviceaccount" of ${secret.origin}`, () => parseServiceAccount(json));
  const token = tokenOf(`the token service at "${new URL(key.tokenUri).host}"`, ['gcp', key], (signal) =>
    tokenOfServiceAccount(key, readBuckets, dispatcher, signal),
  );
  return createGcsStorage({ ...connection, token }, spec.prefix ?? '');
}

function openAzure(open: Opening): BucketStorage {
  const { spec, endpoint, dispatcher } = open;
  const authorization = azureAuthorization(open);
  return createAzureStorage({ endpoint, container: spec.bucketName, authorization, dispatcher }, spec.prefix ?? '');
}

function azureAuthorization(open: Opening): AzureAuthorization {
  const { secret, endpoint, dispatcher, identity, logins, proxy } = open;
  const resource = azureResources.storage;
  const text = (key: string): string | undefined => secretText(secret?.data, key)?.trim() || undefined;
  const [tenantId, clientId] = [text('tenantId'), text('clientId')];
  const authority = (text('authorityHost') ?? defaultAuthority).replace(/\/+$/, '');
  const loginName = `the token service at "${URL.canParse(authority) ? new URL(authority).host : authority}"`;
  const clientSecret = text('clientSecret');
  const certificate = text('clientCertificate');
  if (tenantId && clientId && clientSecret) {
    const application = { tenantId, clientId, authority };
    const ask = (signal: AbortSignal) => tokenOfClientSecret(application, clientSecret, resource, dispatcher, signal);
    return { type: 'token', token: tokenOf(loginName, ['azure', application, clientSecret], ask) };
  }
  if (tenantId && clientId && certificate) {
    const application = { tenantId, clientId, authority };
    const parsed = reading(`"clientCertificate" of ${secret?.origin}`, () =>
      parseClientCertificate(certificate, text('clientCertificatePassword')),
    );
    const ask = (signal: AbortSignal) => tokenOfCertificate(application, parsed, resource, dispatcher, signal);
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
  checkOwnTokens('azure', endpoint);
  const token = async (signal: AbortSignal) =>
    (await logins.azure(identity, { resource, clientId, proxy }, signal)).token;
  return { type: 'token', token };
}

/** A token of the worker opens more than this bucket: it goes to the cloud that it is for, and nowhere else. */
function checkOwnTokens(provider: 'gcp' | 'azure', endpoint: string): void {
  if (isHostOf(provider, endpoint)) return;
  throw refuse(
    `spec.endpoint is no host of provider "${provider}", so it is not sent the identity of the worker: name a Secret in spec.secretRef`,
  );
}

function isHostOf(provider: keyof typeof cloudHosts, address: string): boolean {
  const { protocol, hostname } = new URL(address);
  return protocol === 'https:' && cloudHosts[provider].test(hostname);
}

function tokenOf(service: string, id: unknown, ask: (signal: AbortSignal) => Promise<AccessToken>) {
  return async (signal: AbortSignal): Promise<string> => (await logIn(service, id, ask, signal)).token;
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
