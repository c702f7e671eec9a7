// What one run of sops may know: the keys that fit the file, and nothing else of what is given or of this process.
import type { DecryptionKeys } from './keys.ts';
import type { RecipientKind } from './sops-metadata.ts';

/** Environment and files for a run. */
export interface SopsEnvironment {
  variables: Record<string, string>;
  /** By name, to be written into the run's home (readable by its owner alone) before it starts. */
  files: Record<string, Uint8Array>;
}

/** Names of the worker's own variables that stand in where the Secret gives no credentials of that kind. */
const ambientNames: Readonly<Partial<Record<RecipientKind, RegExp>>> = {
  aws: /^AWS_/,
  azure: /^(AZURE|IDENTITY|MSI|IMDS)_/,
  gcp: /^(GOOGLE_|GCE_METADATA_|SOPS_GCP_KMS_)/,
  // Never its token: the file says which server it would be sent to.
  vault: /^VAULT_(?!ADDR$|TOKEN$)/,
};
/** What any connection over the network needs to know. */
const networkNames = /^(HTTPS?_PROXY|NO_PROXY|https?_proxy|no_proxy|SSL_CERT_FILE|SSL_CERT_DIR)$/;

/** The part of the worker's environment that a run of sops may be given where a Secret says nothing (contract 2.1). */
export function ambientEnvironment(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const patterns = [networkNames, ...Object.values(ambientNames)];
  const entries = Object.entries(environment).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && patterns.some((pattern) => pattern?.test(entry[0]) ?? false),
  );
  return Object.fromEntries(entries);
}

/**
 * The environment of a run for a file with recipients of these kinds. `home` is a private directory; `ambient` is what
 * the worker's own environment has. A key is handed over only to a run whose file has a recipient of its kind.
 */
export function sopsEnvironment(
  keys: DecryptionKeys,
  kinds: ReadonlySet<RecipientKind>,
  home: string,
  ambient: Readonly<Record<string, string>>,
): SopsEnvironment {
  const files: Record<string, Uint8Array> = {};
  const variables: Record<string, string> = {
    HOME: home,
    XDG_CONFIG_HOME: home,
    TMPDIR: home,
    GNUPGHOME: home,
    // sops reads the keyring by itself; a gpg on this machine would start an agent that stays.
    SOPS_GPG_EXEC: `${home}/no-gpg`,
    // Else it looks for .sops.yaml in every directory above.
    SOPS_CONFIG: '/dev/null',
    SOPS_DISABLE_VERSION_CHECK: 'true',
  };
  const given: Partial<Record<RecipientKind, Record<string, string> | undefined>> = {
    age: keys.age ? { SOPS_AGE_KEY: keys.age } : undefined,
    vault: keys.vaultToken ? { VAULT_TOKEN: keys.vaultToken } : undefined,
    aws: awsVariables(keys),
    gcp: keys.gcp ? { GOOGLE_CREDENTIALS: keys.gcp } : undefined,
    azure: keys.azure?.variables,
  };
  for (const kind of kinds) {
    const pattern = ambientNames[kind];
    if (pattern) Object.assign(variables, matching(ambient, networkNames));
    Object.assign(variables, given[kind] ?? (pattern ? matching(ambient, pattern) : {}));
  }
  if (kinds.has('pgp') && keys.pgp) files['secring.gpg'] = keys.pgp;
  if (kinds.has('azure') && keys.azure?.certificate) {
    files['azure.pem'] = Buffer.from(keys.azure.certificate);
    variables['AZURE_CLIENT_CERTIFICATE_PATH'] = `${home}/azure.pem`;
  }
  return { variables, files };
}

function awsVariables({ aws }: DecryptionKeys): Record<string, string> | undefined {
  if (!aws) return undefined;
  const variables = { AWS_ACCESS_KEY_ID: aws.accessKeyId, AWS_SECRET_ACCESS_KEY: aws.secretAccessKey };
  return aws.sessionToken ? { ...variables, AWS_SESSION_TOKEN: aws.sessionToken } : variables;
}

function matching(environment: Readonly<Record<string, string>>, pattern: RegExp): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => pattern.test(name)));
}
