// Whose identity logs in to a cloud: the worker's own, or that of a service account of the object's namespace, for which
// the API server issues a token that the cloud has been told to take (contract 7, gate ObjectLevelWorkloadIdentity).
import { failure, messageOf } from '../../errors.ts';

/** Environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The object that wants to log in. */
export interface CloudIdentity {
  namespace: string;
  /** `spec.serviceAccountName`. */
  serviceAccountName?: string | undefined;
}

export interface AccountDeps {
  /** The annotations of a service account; undefined when it does not exist. */
  readAnnotations(namespace: string, serviceAccount: string): Promise<Record<string, string> | undefined>;
  /** A new token of it (TokenRequest). */
  requestToken(
    account: { namespace: string; name: string },
    options: { audiences: readonly string[]; signal?: AbortSignal },
  ): Promise<{ token: string }>;
  /** Of accounts for objects that name none; '' for none: the worker's own identity. */
  defaultServiceAccount: string;
}

/** A service account that logs in. */
export interface CloudAccount {
  namespace: string;
  name: string;
  /** `ServiceAccount "apps/puller"`. */
  origin: string;
  annotations: Readonly<Record<string, string>>;
  token(audience: string, signal: AbortSignal): Promise<string>;
}

/**
 * The account that logs in, or undefined for the worker itself. `deps` is undefined where the installation does not allow
 * objects an identity of their own. Fails with FeatureGateDisabled, and with AuthenticationFailed when the account does
 * not exist.
 */
export async function accountOf(
  identity: CloudIdentity,
  deps: AccountDeps | undefined,
): Promise<CloudAccount | undefined> {
  if (identity.serviceAccountName && !deps) {
    throw failure(
      'FeatureGateDisabled',
      'spec.serviceAccountName logs in with an identity of its own, which is off: set CONTINUO_OBJECT_LEVEL_WORKLOAD_IDENTITY=true on the worker, or remove it',
    );
  }
  const name = identity.serviceAccountName ?? deps?.defaultServiceAccount;
  if (!name || !deps) return undefined;
  const { namespace } = identity;
  const origin = `ServiceAccount "${namespace}/${name}"`;
  const annotations = await deps.readAnnotations(namespace, name);
  if (!annotations) {
    const by = identity.serviceAccountName ? 'spec.serviceAccountName' : 'CONTINUO_DEFAULT_SERVICE_ACCOUNT';
    throw failure('AuthenticationFailed', `${origin} named by ${by} does not exist`);
  }
  return {
    namespace,
    name,
    origin,
    annotations,
    async token(audience, signal) {
      try {
        return (await deps.requestToken({ namespace, name }, { audiences: [audience], signal })).token;
      } catch (error) {
        throw new Error(`the API server gave no token of the account: ${messageOf(error)}`, { cause: error });
      }
    },
  };
}

/** The value of an annotation that matches; fails with AuthenticationFailed otherwise. `example` shows one. */
export function annotationOf(account: CloudAccount, key: string, pattern: RegExp, example: string): string {
  const value = account.annotations[key];
  if (value !== undefined && pattern.test(value)) return value;
  const found = value === undefined ? 'has no annotation' : 'has an unusable annotation';
  throw failure('AuthenticationFailed', `${account.origin} ${found} "${key}": expected "${example}"`);
}
