// From an object's spec to the registry that it names: address, credentials, TLS and proxy (contract 1.2; 1.3 of type oci).
import { failure, messageOf } from '../../errors.ts';
import type { CloudLogins } from '../cloud/cloud-logins.ts';
import type { ConnectionSettings } from '../http/dispatcher.ts';
import { certSecret, proxySecret, type SecretData, secretText } from '../http/tls-secret.ts';
import { authsOfSecret, credentialsFor, type RegistryCredentials } from './docker-config.ts';
import { type OciRepositoryAddress, parseRepositoryAddress } from './oci-address.ts';
import { createRegistryClient, type RegistryClient } from './registry-client.ts';

/** The fields of OCIRepository, and of HelmRepository with type `oci`, that say how a registry is reached. */
export interface RegistryAccessSpec {
  /** `oci://<host>/<repository>`. */
  url: string;
  insecure?: boolean;
  provider?: 'generic' | 'aws' | 'gcp' | 'azure';
  secretRef?: { name: string };
  serviceAccountName?: string;
  certSecretRef?: { name: string };
  proxySecretRef?: { name: string };
}

export interface RegistryAccessDeps {
  /** The decoded data of a Secret; undefined when it does not exist. */
  readSecret(namespace: string, name: string): Promise<SecretData>;
  /** The names of a service account's `imagePullSecrets`; undefined when it does not exist. */
  readPullSecrets(namespace: string, serviceAccount: string): Promise<string[] | undefined>;
  /** Logins of `spec.provider`. */
  logins: Pick<CloudLogins, 'registry'>;
}

export interface RegistryAccess extends OciRepositoryAddress {
  client: RegistryClient;
}

/**
 * Opens the registry of a spec with what its Secrets hold now, or the login of its cloud gives; asks the registry nothing
 * yet. Fails with URLInvalid for an address that cannot be one, with AuthenticationFailed when a Secret or the service
 * account is missing or malformed or the cloud refuses the login, and with FeatureGateDisabled for an account that may not
 * log in by itself.
 */
export async function registryAccessOf(
  spec: RegistryAccessSpec,
  namespace: string,
  deps: RegistryAccessDeps,
  signal: AbortSignal,
): Promise<RegistryAccess> {
  const address = addressOf(spec.url);
  const connection: ConnectionSettings = {};
  if (spec.certSecretRef) {
    const { name } = spec.certSecretRef;
    connection.tls = certSecret(`${namespace}/${name}`, await deps.readSecret(namespace, name));
  }
  if (spec.proxySecretRef) {
    const { name } = spec.proxySecretRef;
    connection.proxy = proxySecret(`${namespace}/${name}`, await deps.readSecret(namespace, name));
  }
  const { host } = address;
  let login = await loginBySecret(spec, namespace, address, deps);
  const { provider = 'generic', serviceAccountName } = spec;
  if (!login && provider !== 'generic') {
    const identity = { namespace, serviceAccountName };
    login = { credentials: await deps.logins.registry(provider, host, identity, connection, signal) };
  }
  const client = createRegistryClient({ host, isInsecure: spec.insecure ?? false, connection, ...login });
  return { ...address, client };
}

function addressOf(url: string): OciRepositoryAddress {
  try {
    return parseRepositoryAddress(url);
  } catch (error) {
    throw failure('URLInvalid', `spec.url is not usable: ${messageOf(error)}`, { cause: error });
  }
}

interface LoginSettings {
  credentials?: RegistryCredentials;
  loginAdvice?: string;
}

/** The login of a Secret that the spec or its service account names; undefined when neither names one. */
async function loginBySecret(
  { secretRef, serviceAccountName }: RegistryAccessSpec,
  namespace: string,
  address: OciRepositoryAddress,
  deps: RegistryAccessDeps,
): Promise<LoginSettings | undefined> {
  const names: { name: string; field: string }[] = [];
  if (secretRef) names.push({ name: secretRef.name, field: 'spec.secretRef' });
  if (serviceAccountName) {
    const pullSecrets = await deps.readPullSecrets(namespace, serviceAccountName);
    if (!pullSecrets) {
      throw refuse(
        `ServiceAccount "${namespace}/${serviceAccountName}" named by spec.serviceAccountName does not exist`,
      );
    }
    const field = `imagePullSecrets of ServiceAccount "${namespace}/${serviceAccountName}"`;
    names.push(...pullSecrets.map((name) => ({ name, field })));
  }
  if (names.length === 0) return undefined;
  for (const { name, field } of names) {
    const origin = `Secret "${namespace}/${name}"`;
    const data = await deps.readSecret(namespace, name);
    if (!data) throw refuse(`${origin} named by ${field} does not exist`);
    const credentials = credentialsOfSecret(data, address, origin);
    if (credentials) return { credentials };
  }
  const seen = names.map(({ name }) => `"${namespace}/${name}"`).join(', ');
  return { loginAdvice: `no entry of Secret ${seen} is for "${address.host}"` };
}

/**
 * The credentials for a registry in a Secret's data: an entry of its Docker configuration, or its keys `username` and
 * `password`. Undefined when it has entries for other registries only. Fails with AuthenticationFailed when it is malformed.
 */
export function credentialsOfSecret(
  data: NonNullable<SecretData>,
  address: OciRepositoryAddress,
  origin: string,
): RegistryCredentials | undefined {
  try {
    const auths = authsOfSecret(data);
    if (auths) return credentialsFor(auths, address, origin);
  } catch (error) {
    throw refuse(`${origin} ${messageOf(error)}`);
  }
  const username = secretText(data, 'username');
  const password = secretText(data, 'password');
  if (username !== undefined && password !== undefined) return { username, password, origin };
  throw refuse(
    `${origin} has neither a key ".dockerconfigjson" nor "username" and "password": make it with "kubectl create secret docker-registry"`,
  );
}

function refuse(message: string): ReturnType<typeof failure> {
  return failure('AuthenticationFailed', message);
}
