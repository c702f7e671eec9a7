// The keys of a decryption Secret (contract 2.1, "Decryption"): which entries count, what is in them, and what may be
// told of them.
import { createHash } from 'node:crypto';
import { isRecord, readYaml } from '../read-manifests.ts';
import { parseAgeIdentities } from './age-key.ts';
import { parsePgpKeys } from './pgp-key.ts';

/** Everything that a Secret gives to decrypt with. Secret, but for `names`. */
export interface DecryptionKeys {
  /** age identities, one a line. */
  age?: string;
  /** A binary OpenPGP keyring. */
  pgp?: Uint8Array;
  vaultToken?: string;
  aws?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string };
  /** Variables of Azure's SDK; the certificate is the text of a file. */
  azure?: { variables: Record<string, string>; certificate?: string };
  /** A service account's JSON. */
  gcp?: string;
  /** The public halves, for messages: `age1…`, `PGP 1F3D…`, `HashiCorp Vault token`. */
  names: string[];
}

/** The data of a Secret, decoded. */
export type SecretEntries = Readonly<Record<string, Uint8Array>>;

type KeyKind = 'age' | 'pgp' | 'vault' | 'aws' | 'azure' | 'gcp';

const wholeNames: Readonly<Record<string, KeyKind>> = {
  'sops.vault-token': 'vault',
  'sops.aws-kms': 'aws',
  'sops.azure-kv': 'azure',
  'sops.gcp-kms': 'gcp',
};

/** The kind of key in a Secret's entry, or undefined for an entry that decryption does not look at. */
export function keyKindOf(entry: string): KeyKind | undefined {
  if (entry.endsWith('.agekey')) return 'age';
  if (entry.endsWith('.asc')) return 'pgp';
  return Object.hasOwn(wholeNames, entry) ? wholeNames[entry] : undefined;
}

/** Digest of the entries that count, whatever their order and their prefixes; it changes exactly when a key does. */
export function digestOfKeys(entries: SecretEntries): string {
  const digests = Object.entries(entries)
    .map(([name, value]) => [keyKindOf(name), createHash('sha256').update(value).digest('hex')])
    .filter(([kind]) => kind !== undefined)
    .map((pair) => pair.join(' '))
    .sort();
  return createHash('sha256').update(digests.join('\n')).digest('hex');
}

/**
 * Reads the entries of a Secret. `source` names it in messages. Throws an `Error` that names the entry and what is wrong
 * with it, and shows nothing of what is in it.
 */
export function parseKeys(entries: SecretEntries, source: string): DecryptionKeys {
  const keys: DecryptionKeys = { names: [] };
  const age: string[] = [];
  const rings: Uint8Array[] = [];
  for (const [entry, content] of Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const kind = keyKindOf(entry);
    if (!kind) continue;
    try {
      if (kind === 'age') {
        const identities = parseAgeIdentities(textOf(content));
        age.push(...identities.map(({ secret }) => secret));
        keys.names.push(...identities.map(({ recipient }) => recipient));
      } else if (kind === 'pgp') {
        const { ring, fingerprints } = parsePgpKeys(content);
        rings.push(ring);
        keys.names.push(...fingerprints.map((fingerprint) => `PGP ${fingerprint}`));
      } else {
        keys.names.push(addCredentials(keys, kind, textOf(content)));
      }
    } catch (error) {
      throw new Error(`entry "${entry}" of ${source} cannot be used: ${(error as Error).message}`);
    }
  }
  if (age.length > 0) keys.age = age.join('\n');
  if (rings.length > 0) keys.pgp = Buffer.concat(rings);
  return keys;
}

/** Takes the entry of a cloud's key service or of Vault; gives what it may be called in messages. */
function addCredentials(keys: DecryptionKeys, kind: 'vault' | 'aws' | 'azure' | 'gcp', text: string): string {
  if (kind === 'vault') {
    keys.vaultToken = text.trim();
    if (!/^[\x21-\x7e]+$/.test(keys.vaultToken)) throw new Error('expected one token and nothing else');
    return 'HashiCorp Vault token';
  }
  if (kind === 'gcp') {
    mappingOf(text);
    keys.gcp = text;
    return 'GCP service account';
  }
  const fields = mappingOf(text);
  if (kind === 'aws') {
    const accessKeyId = fields['aws_access_key_id'];
    const secretAccessKey = fields['aws_secret_access_key'];
    if (!accessKeyId || !secretAccessKey) {
      throw new Error('expected "aws_access_key_id" and "aws_secret_access_key"');
    }
    keys.aws = { accessKeyId, secretAccessKey, sessionToken: fields['aws_session_token'] };
    return `AWS access key ${accessKeyId}`;
  }
  keys.azure = azureOf(fields);
  return `Azure client ${keys.azure.variables['AZURE_CLIENT_ID']}`;
}

/** The ways to say who one is that Azure's tools write: a service principal, as `az` prints it, or a managed identity. */
function azureOf(fields: Record<string, string>): NonNullable<DecryptionKeys['azure']> {
  const clientId = fields['clientId'] ?? fields['appId'];
  const tenantId = fields['tenantId'] ?? fields['tenant'];
  const secret = fields['clientSecret'] ?? fields['password'];
  const certificate = fields['clientCertificate'];
  if (!clientId || (tenantId && !secret && !certificate)) {
    throw new Error(
      'expected "clientId" alone, or with "tenantId" and either "clientSecret" or "clientCertificate", ' +
        'or "appId", "tenant" and "password"',
    );
  }
  const variables: Record<string, string | undefined> = {
    AZURE_CLIENT_ID: clientId,
    AZURE_TENANT_ID: tenantId,
    AZURE_CLIENT_SECRET: tenantId && secret,
    AZURE_CLIENT_CERTIFICATE_PASSWORD: fields['clientCertificatePassword'],
    AZURE_CLIENT_SEND_CERTIFICATE_CHAIN: fields['clientCertificateSendChain'],
    AZURE_AUTHORITY_HOST: fields['authorityHost'],
  };
  const given = Object.entries(variables).filter((pair): pair is [string, string] => Boolean(pair[1]));
  return { variables: Object.fromEntries(given), certificate: tenantId && !secret ? certificate : undefined };
}

/** A YAML or JSON mapping of texts; other values as they are written. */
function mappingOf(text: string): Record<string, string> {
  let value: unknown;
  try {
    value = readYaml(text, 'entry').documents[0]?.value;
  } catch {
    value = undefined; // the reader's message would quote the line
  }
  if (!isRecord(value)) throw new Error('expected a mapping as YAML or JSON');
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, String(field)]));
}

function textOf(content: Uint8Array): string {
  return Buffer.from(content).toString('utf8');
}
