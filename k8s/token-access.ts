// Access to a remote cluster without a stored secret: the settings of a ConfigMap, and a short-lived token of a service
// account of the home cluster, which the remote one is configured to trust (contract 2.1, `configMapRef`).
import type { KubeClient } from './client.ts';
import type { ClusterAccess } from './kubeconfig.ts';
import type { StoredKubeconfigRules } from './stored-kubeconfig.ts';

export interface TokenAccessOptions {
  home: Pick<KubeClient, 'requestToken'>;
  /** Namespace of the ConfigMap, and so of the account. */
  namespace: string;
  defaultServiceAccount: string;
  rules: Pick<StoredKubeconfigRules, 'isInsecureTlsAllowed'>;
}

/** A token is renewed when this part of its life is over. */
const renewAfter = 0.8;

/** The access of a ConfigMap's settings. Throws an `Error` that names the key which is wrong. */
export function accessOfSettings(settings: Record<string, string>, options: TokenAccessOptions): ClusterAccess {
  const { home, namespace, rules } = options;
  if (settings.provider !== 'generic') {
    throw new Error(
      `provider "${settings.provider ?? ''}" is not supported: use "generic" with address, ca.crt and serviceAccountName, or a kubeconfig in a Secret`,
    );
  }
  const server = serverOf(settings.address ?? '', rules.isInsecureTlsAllowed);
  const name = settings.serviceAccountName || options.defaultServiceAccount;
  if (!name) throw new Error('serviceAccountName is missing: name the account whose token the cluster trusts');
  const listed = (settings.audiences ?? '').split(/[\s,]+/).filter((audience) => audience !== '');
  const audiences = listed.length > 0 ? listed : [server];
  let known: { token: string; renewAtMs: number } | undefined;

  async function token(): Promise<string> {
    if (known && Date.now() < known.renewAtMs) return known.token;
    const issued = await home.requestToken({ namespace, name }, { audiences });
    const lifeMs = Math.max(issued.expiresAtMs - Date.now(), 0);
    known = { token: issued.token, renewAtMs: Date.now() + lifeMs * renewAfter };
    return known.token;
  }

  return {
    server,
    isRenewable: true,
    async credentials() {
      return {
        tls: settings['ca.crt'] ? { ca: settings['ca.crt'] } : {},
        headers: { authorization: `Bearer ${await token()}` },
      };
    },
  };
}

function serverOf(address: string, isInsecureAllowed: boolean): string {
  const url = URL.parse(address);
  const isAllowed = url?.protocol === 'https:' || (isInsecureAllowed && url?.protocol === 'http:');
  if (url && isAllowed && !url.username && !url.password) return address.replace(/\/+$/, '');
  throw new Error('address is no address of an API server: expected "https://<host>:<port>"');
}
