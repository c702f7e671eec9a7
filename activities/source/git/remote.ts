// The remote of a GitRepository for one operation: its address, and the credentials that its Secrets hold now.
import type { GitRepositorySpec } from '../../../k8s/api/git-repository.ts';
import { parseDuration } from '../../../k8s/duration.ts';
import type { NamespacedName } from '../../../k8s/object.ts';
import { failure } from '../../errors.ts';
import type { CloudLogins } from '../cloud/cloud-logins.ts';
import { proxySecret, type SecretData, tlsFromSecret } from '../http/tls-secret.ts';
import {
  basic,
  credentialsFromSecret,
  type GitCredentials,
  splitUrlCredentials,
  sshCredentialsFromSecret,
} from './credentials.ts';
import { type GitHubTokens, gitHubAppOf, gitHubUser, hasGitHubApp } from './github-app.ts';
import type { GitRemote } from './repositories.ts';
import type { SshAlgorithms } from './ssh/ssh-algorithms.ts';

export interface RemoteDeps {
  readSecret(namespace: string, name: string): Promise<SecretData>;
  tokens: GitHubTokens;
  /** Logins of the providers `aws` and `azure`. */
  logins: Pick<CloudLogins, 'git'>;
  sshAlgorithms?: SshAlgorithms;
}

/** The address is known at once; the Secrets are read when the remote is asked for, and so anew for each operation. */
export function remoteOf(
  deps: RemoteDeps,
  { namespace }: NamespacedName,
  spec: GitRepositorySpec,
  signal: AbortSignal,
): { url: string; remote(): Promise<GitRemote> } {
  const { url, credentials: inUrl } = splitUrlCredentials(spec.url);
  const timeoutMs = parseDuration(spec.timeout ?? '60s');
  const secretOf = async (ref: { name: string }) => ({
    secretName: `${namespace}/${ref.name}`,
    data: await deps.readSecret(namespace, ref.name),
  });

  async function proxyOf(): Promise<GitCredentials['proxy']> {
    if (!spec.proxySecretRef) return undefined;
    const { secretName, data } = await secretOf(spec.proxySecretRef);
    return proxySecret(secretName, data);
  }

  async function credentialsOf(proxy: GitCredentials['proxy']): Promise<GitCredentials> {
    const isSsh = url.startsWith('ssh:');
    if (spec.provider === 'aws' || spec.provider === 'azure') return await cloudCredentials(spec.provider, proxy);
    if (!spec.secretRef) {
      if (spec.provider === 'github') {
        throw misfit('spec.provider "github" needs a Secret with the keys of a GitHub App in spec.secretRef');
      }
      if (!isSsh) return inUrl;
      throw failure(
        'AuthenticationFailed',
        'a repository over SSH needs a Secret in spec.secretRef with keys "identity" and "known_hosts"',
      );
    }
    const { secretName, data } = await secretOf(spec.secretRef);
    const origin = `Secret "${secretName}"`;
    if (spec.provider === 'github') {
      if (isSsh) throw misfit('spec.provider "github" logs in over HTTPS: spec.url must begin with "https://"');
      if (!data) throw failure('AuthenticationFailed', `${origin} named by spec.secretRef does not exist`);
      return await gitHubCredentials(origin, data, proxy);
    }
    if (hasGitHubApp(data)) {
      throw misfit(`${origin} has the keys of a GitHub App, but spec.provider is not "github"`);
    }
    if (!isSsh) return credentialsFromSecret(secretName, data);
    const credentials = sshCredentialsFromSecret(secretName, data);
    return { ...credentials, ssh: { ...credentials.ssh, algorithms: deps.sshAlgorithms } };
  }

  async function gitHubCredentials(
    origin: string,
    data: Record<string, Uint8Array>,
    proxy: GitCredentials['proxy'],
  ): Promise<GitCredentials> {
    const app = gitHubAppOf(origin, data);
    const tls = tlsFromSecret(origin, data);
    const limited = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const token = await deps.tokens.tokenOf(app, { origin, tls, proxy, signal: limited });
    return { origin, tls, authorization: basic(gitHubUser, token), onRefused: () => deps.tokens.forget(app) };
  }

  /** Of a Secret, only whom to trust is taken: the login is that of the cloud. */
  async function cloudCredentials(provider: 'aws' | 'azure', proxy: GitCredentials['proxy']): Promise<GitCredentials> {
    const origin = `spec.provider "${provider}"`;
    const identity = { namespace, serviceAccountName: spec.serviceAccountName };
    const authorization = await deps.logins.git(provider, url, identity, { proxy }, signal);
    if (!spec.secretRef) return { origin, authorization };
    const { secretName, data } = await secretOf(spec.secretRef);
    if (!data) {
      throw failure('AuthenticationFailed', `Secret "${secretName}" named by spec.secretRef does not exist`);
    }
    return { origin, authorization, tls: tlsFromSecret(`Secret "${secretName}"`, data) };
  }

  return {
    url,
    async remote() {
      const proxy = await proxyOf();
      const credentials = await credentialsOf(proxy);
      return { url, credentials: proxy ? { ...credentials, proxy } : credentials, timeoutMs, signal };
    },
  };
}

function misfit(message: string): ReturnType<typeof failure> {
  return failure('InvalidProviderConfiguration', message);
}
