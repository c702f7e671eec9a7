// From a HelmRepository of type `default` and its Secrets to how its server is reached (contract 1.3).
import type { HelmRepositorySpec } from '../../../k8s/api/helm-repository.ts';
import { parseDuration } from '../../../k8s/duration.ts';
import { failure } from '../../errors.ts';
import { splitUrlCredentials } from '../git/credentials.ts';
import { certSecret, type SecretData, secretText, tlsFromSecret, type TlsSettings } from '../http/tls-secret.ts';

/** How a chart repository is reached. */
export interface RepositoryAccess {
  /** Address of the repository, without credentials. */
  url: string;
  /** Value of the Authorization header. */
  authorization?: string;
  tls?: TlsSettings;
  /** The credentials also go to other hosts that the index names for its charts. */
  isPassingCredentials: boolean;
  /** For each request with all of its answer. */
  timeoutMs: number;
  /** Where the credentials come from, for messages: `Secret "apps/charts"`. */
  origin: string;
}

export type ReadSecret = (namespace: string, name: string) => Promise<SecretData>;

/** The fields of a HelmRepository that say how it is reached. */
export type RepositoryAccessSpec = Pick<
  HelmRepositorySpec,
  'url' | 'secretRef' | 'certSecretRef' | 'passCredentials' | 'timeout'
>;

/**
 * Reads the Secrets that the spec names. Fails with URLInvalid for an address that is none, and with
 * AuthenticationFailed when a Secret is missing, holds only half of a pair, or a certificate that cannot be used.
 */
export async function openRepositoryAccess(
  readSecret: ReadSecret,
  namespace: string,
  spec: RepositoryAccessSpec,
): Promise<RepositoryAccess> {
  if (!URL.canParse(spec.url) || !['http:', 'https:'].includes(new URL(spec.url).protocol)) {
    const expected = 'expected "https://<host>/<path>", or spec.type "oci" with "oci://<host>/<path>"';
    throw failure('URLInvalid', `spec.url is not a valid address: ${expected}`);
  }
  const { url, credentials } = splitUrlCredentials(spec.url);
  const access: RepositoryAccess = {
    url,
    isPassingCredentials: spec.passCredentials ?? false,
    timeoutMs: parseDuration(spec.timeout ?? '60s'),
    origin: credentials.origin,
  };
  if (credentials.authorization) access.authorization = credentials.authorization;
  if (spec.secretRef) await addSecret(access, readSecret, namespace, spec.secretRef.name);
  if (spec.certSecretRef) {
    const { name } = spec.certSecretRef;
    access.tls = certSecret(`${namespace}/${name}`, await readSecret(namespace, name));
  }
  return access;
}

async function addSecret(
  access: RepositoryAccess,
  readSecret: ReadSecret,
  namespace: string,
  name: string,
): Promise<void> {
  const origin = `Secret "${namespace}/${name}"`;
  const data = await readSecret(namespace, name);
  if (!data) throw failure('AuthenticationFailed', `${origin} named by spec.secretRef does not exist`);
  const username = secretText(data, 'username');
  const password = secretText(data, 'password');
  if ((username === undefined) !== (password === undefined)) {
    const [there, missing] = username === undefined ? ['password', 'username'] : ['username', 'password'];
    throw failure('AuthenticationFailed', `${origin} has key "${there}" but no key "${missing}"`);
  }
  access.origin = origin;
  if (username !== undefined && password !== undefined) {
    access.authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  }
  const tls = tlsFromSecret(origin, data);
  if (Object.keys(tls).length > 0) access.tls = tls;
}
