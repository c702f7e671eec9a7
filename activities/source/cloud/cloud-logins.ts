// Logins to the clouds, for buckets, registries and Git repositories alike (contract 1.1, 1.2, 1.3 and 1.5, provider): as
// the worker itself, or as a service account of the object's namespace. A token of the worker opens more than the object
// that it is wanted for, so it is sent to hosts of its cloud alone.
import { failure } from '../../errors.ts';
import { basic } from '../git/credentials.ts';
import { type ConnectionSettings, dispatcherFor } from '../http/dispatcher.ts';
import type { RegistryCredentials } from '../oci/docker-config.ts';
import type { AccessToken } from './access-token.ts';
import { codeCommitLogin, codeCommitRegionOf } from './aws-code-commit.ts';
import { ambientAwsCredentials, awsCredentialsOfAccount, type TemporaryCredentials } from './aws-credentials.ts';
import { awsRegistryOf, awsRegistryPassword } from './aws-registry.ts';
import { azureRefreshToken, azureRegistryResourceOf } from './azure-registry.ts';
import { ambientAzureToken, azureResources, azureTokenOfAccount } from './azure-token.ts';
import {
  type AccountDeps,
  accountOf,
  type CloudAccount,
  type CloudIdentity,
  type Environment,
} from './cloud-identity.ts';
import { gcpTokenOfAccount } from './gcp-federation.ts';
import { ambientGcpToken, cloudPlatform } from './gcp-token.ts';
import { logIn } from './log-in.ts';

export interface CloudLoginsDeps {
  /** Where the worker's own credentials are found. @default process.env */
  env?: Environment;
  /** How service accounts log in; undefined: objects have no identity of their own here. */
  accounts?: AccountDeps | undefined;
}

/** The proxy of the object, through which token services are asked. */
export type LoginConnection = Pick<ConnectionSettings, 'proxy'>;

/** Every method fails with AuthenticationFailed, or with FeatureGateDisabled for an identity that is not allowed. */
export interface CloudLogins {
  /** `region` and `stsEndpoint` are those of the token service. */
  aws(
    identity: CloudIdentity,
    options: LoginConnection & { region?: string | undefined; stsEndpoint?: string | undefined },
    signal: AbortSignal,
  ): Promise<TemporaryCredentials>;
  gcp(identity: CloudIdentity, options: LoginConnection, signal: AbortSignal): Promise<AccessToken>;
  /** `clientId` chooses one of several identities of the worker. */
  azure(
    identity: CloudIdentity,
    options: LoginConnection & { resource: string; clientId?: string | undefined },
    signal: AbortSignal,
  ): Promise<AccessToken>;
  /** The login to a registry of the provider, and to no other. */
  registry(
    provider: 'aws' | 'gcp' | 'azure',
    host: string,
    identity: CloudIdentity,
    connection: ConnectionSettings,
    signal: AbortSignal,
  ): Promise<RegistryCredentials>;
  /** The Authorization header for a repository; InvalidProviderConfiguration where it is none of the provider. */
  git(
    provider: 'aws' | 'azure',
    url: string,
    identity: CloudIdentity,
    connection: LoginConnection,
    signal: AbortSignal,
  ): Promise<string>;
}

/** ACR knows nobody by name when a token logs in. */
const nobody = '00000000-0000-0000-0000-000000000000';

export function createCloudLogins({ env = process.env, accounts }: CloudLoginsDeps = {}): CloudLogins {
  /** Logs in as the account of the object, or as the worker. */
  async function as<T extends { expiresMs?: number }>(
    identity: CloudIdentity,
    id: readonly unknown[],
    ways: {
      account(account: CloudAccount, within: AbortSignal): Promise<T>;
      worker(within: AbortSignal): Promise<T>;
    },
    signal: AbortSignal,
  ): Promise<T> {
    const account = await accountOf(identity, accounts);
    if (!account) return await logIn(workerName, [...id, env], ways.worker, signal);
    const { namespace, name, annotations, origin } = account;
    const accountId = [...id, namespace, name, annotations];
    return await logIn(origin, accountId, (within) => ways.account(account, within), signal);
  }

  const logins: CloudLogins = {
    async aws(identity, { region, stsEndpoint, proxy }, signal) {
      const aws = { env, region, stsEndpoint, dispatcher: dispatcherFor(proxy ? { proxy } : {}) };
      return await as(
        identity,
        ['aws', region, stsEndpoint, proxy],
        {
          account: (account, within) => awsCredentialsOfAccount(account, aws, within),
          worker: (within) => ambientAwsCredentials(aws, within),
        },
        signal,
      );
    },

    async gcp(identity, { proxy }, signal) {
      const dispatcher = dispatcherFor(proxy ? { proxy } : {});
      return await as(
        identity,
        ['gcp', proxy],
        {
          account: (account, within) => gcpTokenOfAccount(account, cloudPlatform, { env, dispatcher }, within),
          worker: (within) => ambientGcpToken(env, dispatcher, within),
        },
        signal,
      );
    },

    async azure(identity, { resource, clientId, proxy }, signal) {
      const azure = { env, resource, clientId, dispatcher: dispatcherFor(proxy ? { proxy } : {}) };
      return await as(
        identity,
        ['azure', resource, clientId, proxy],
        {
          account: (account, within) => azureTokenOfAccount(account, azure, within),
          worker: (within) => ambientAzureToken(azure, within),
        },
        signal,
      );
    },

    async registry(provider, host, identity, connection, signal) {
      const { proxy } = connection;
      const origin = nameOf(identity);
      const service = `the registry service of provider "${provider}"`;
      if (provider === 'aws') {
        const registry = awsRegistryOf(host);
        if (!registry) throw foreign(provider, host, '"<account>.dkr.ecr.<region>.amazonaws.com" or "public.ecr.aws"');
        const credentials = await logins.aws(identity, { region: registry.region, proxy }, signal);
        const access = { env, dispatcher: dispatcherFor(proxy ? { proxy } : {}) };
        const ask = (within: AbortSignal) => awsRegistryPassword(registry, credentials, access, within);
        const { username, password } = await logIn(service, ['ecr', host, credentials, proxy, env], ask, signal);
        return { username, password, origin };
      }
      if (provider === 'gcp') {
        if (!/^(?:(?:.+\.)?gcr\.io|.+-docker\.pkg\.dev)$/.test(host)) {
          throw foreign(provider, host, '"<region>-docker.pkg.dev" or "gcr.io"');
        }
        const { token } = await logins.gcp(identity, { proxy }, signal);
        return { username: 'oauth2accesstoken', password: token, origin };
      }
      const resource = azureRegistryResourceOf(host);
      if (!resource) throw foreign(provider, host, '"<name>.azurecr.io"');
      const { token } = await logins.azure(identity, { resource, proxy }, signal);
      const ask = (within: AbortSignal) => azureRefreshToken(host, token, dispatcherFor(connection), within);
      const { refreshToken } = await logIn(service, ['acr', host, token, connection], ask, signal);
      return { username: nobody, password: '', identityToken: refreshToken, origin };
    },

    async git(provider, url, identity, { proxy }, signal) {
      const { protocol, hostname } = new URL(url);
      const region = codeCommitRegionOf(hostname);
      const isOfProvider =
        provider === 'aws' ? region !== undefined : /^(?:.+\.)?(?:dev\.azure\.com|visualstudio\.com)$/.test(hostname);
      if (protocol !== 'https:' || !isOfProvider) {
        const expected =
          provider === 'aws'
            ? 'https://git-codecommit.<region>.amazonaws.com/v1/repos/<name>'
            : 'https://dev.azure.com/<organization>/<project>/_git/<repository>';
        throw failure(
          'InvalidProviderConfiguration',
          `spec.provider "${provider}" logs in to its own repositories alone: expected spec.url like "${expected}"`,
        );
      }
      if (provider === 'azure') {
        const { token } = await logins.azure(identity, { resource: azureResources.devOps, proxy }, signal);
        return `Bearer ${token}`;
      }
      const credentials = await logins.aws(identity, { region, proxy }, signal);
      const { username, password } = codeCommitLogin(url, region ?? '', credentials, Date.now());
      return basic(username, password);
    },
  };

  function nameOf({ namespace, serviceAccountName }: CloudIdentity): string {
    const name = serviceAccountName ?? accounts?.defaultServiceAccount;
    return name ? `what ServiceAccount "${namespace}/${name}" may do` : `what ${workerName} may do`;
  }

  return logins;
}

const workerName = 'the identity of the worker';

function foreign(provider: string, host: string, expected: string): ReturnType<typeof failure> {
  return failure(
    'AuthenticationFailed',
    `spec.provider "${provider}" logs in to its own registries alone, not to "${host}": expected ${expected} in spec.url, or remove spec.provider`,
  );
}
