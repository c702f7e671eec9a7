// What can be told of a SOPS file without a key: that it is one, in which format, and who can decrypt it.
import { isRecord, readYaml } from '../read-manifests.ts';

/** The formats of sops, by its own names. `binary` is any content in a JSON envelope. */
export type SopsFormat = 'yaml' | 'json' | 'dotenv' | 'ini' | 'binary';

/** Whose key decrypts a file. */
export type RecipientKind = 'age' | 'pgp' | 'aws' | 'gcp' | 'azure' | 'vault' | 'huawei';

/** One of those whom a file is encrypted to; `name` is public. */
export interface Recipient {
  kind: RecipientKind;
  /** `age1…`, a PGP fingerprint, an ARN, a resource id or a URL. */
  name: string;
}

/** What every value begins with that sops has encrypted. */
export const encryptedValueMark = 'ENC[AES256_GCM,';

/** How sops lists the recipients of a kind: the list's name and the fields that name one. */
const lists: Readonly<Record<string, { kind: RecipientKind; fields: readonly string[] }>> = {
  age: { kind: 'age', fields: ['recipient'] },
  pgp: { kind: 'pgp', fields: ['fp'] },
  kms: { kind: 'aws', fields: ['arn'] },
  gcp_kms: { kind: 'gcp', fields: ['resource_id'] },
  azure_kv: { kind: 'azure', fields: ['vault_url', 'name'] },
  hc_vault: { kind: 'vault', fields: ['vault_address', 'engine_path', 'key_name'] },
  hckms: { kind: 'huawei', fields: ['key_id'] },
};

/**
 * The format of encrypted content, or undefined when it is not encrypted by sops. `name` decides only between JSON and
 * binary, which look alike: it is the name of the file or of the key under which the content is kept.
 */
export function detectFormat(content: Uint8Array, name: string): SopsFormat | undefined {
  const text = Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('utf8');
  if (!text.includes('sops')) return undefined;
  if (/^\s*\{/.test(text)) {
    const value = parseJson(text);
    if (isRecord(value)) return isEncryptedObject(value) ? jsonOrBinary(value, name) : undefined;
  }
  if (/^sops_(?:mac|lastmodified)=/m.test(text)) return 'dotenv';
  if (/^\[sops\]\s*$/m.test(text) && /^(?:mac|lastmodified)\s*=/m.test(text)) return 'ini';
  const isYaml = /^["']?sops["']?\s*:/m.test(text) && /^\s+["']?(?:mac|lastmodified)["']?\s*:/m.test(text);
  return isYaml ? 'yaml' : undefined;
}

/** True for a mapping with the block that sops leaves in it. */
export function isEncryptedObject(value: Readonly<Record<string, unknown>>): boolean {
  const { sops } = value;
  return isRecord(sops) && (typeof sops.mac === 'string' || typeof sops.lastmodified === 'string');
}

/** True for an encrypted mapping in which even what tells an object from others is encrypted: kustomize cannot read it. */
export function isIdentityEncrypted(value: Readonly<Record<string, unknown>>): boolean {
  if (!isEncryptedObject(value)) return false;
  const { apiVersion, kind, metadata } = value;
  const name = isRecord(metadata) ? metadata.name : undefined;
  return [apiVersion, kind, name].some((text) => typeof text === 'string' && text.startsWith(encryptedValueMark));
}

/** In which format decrypted content is to be: what its name asks for, else the one it came in. */
export function outputFormat(input: SopsFormat, name: string): SopsFormat {
  if (input === 'binary') return 'binary';
  if (/\.ya?ml$/.test(name)) return 'yaml';
  if (/\.(?:json|dockerconfigjson)$/.test(name)) return 'json';
  if (name.endsWith('.env')) return 'dotenv';
  return name.endsWith('.ini') ? 'ini' : input;
}

/** Whom content is encrypted to, without repetition; empty when that cannot be read. */
export function recipientsOf(content: Uint8Array, format: SopsFormat): Recipient[] {
  const text = Buffer.from(content).toString('utf8');
  const recipients = format === 'dotenv' || format === 'ini' ? flattened(text) : recipientsIn(sopsBlock(text, format));
  const unique = new Map(recipients.map((recipient) => [`${recipient.kind} ${recipient.name}`, recipient]));
  return [...unique.values()];
}

/** A recipient as a message names it. */
export function describeRecipient({ kind, name }: Recipient): string {
  return kind === 'pgp' ? `PGP ${name}` : name;
}

function jsonOrBinary(value: Record<string, unknown>, name: string): SopsFormat {
  const isEnvelope = Object.keys(value).every((key) => key === 'data' || key === 'sops');
  const isText = typeof value.data === 'string' && value.data.startsWith(encryptedValueMark);
  return isEnvelope && isText && !/\.(?:json|dockerconfigjson)$/.test(name) ? 'binary' : 'json';
}

function sopsBlock(text: string, format: SopsFormat): unknown {
  if (format !== 'yaml') {
    const value = parseJson(text);
    return isRecord(value) ? value.sops : undefined;
  }
  try {
    const documents = readYaml(text, '').documents.map(({ value }) => value);
    return documents.filter(isRecord).find(isEncryptedObject)?.sops;
  } catch {
    return undefined; // sops itself says what is wrong
  }
}

/** Recipients lie in the block itself, or in several groups that each give a share of the key. */
function recipientsIn(block: unknown): Recipient[] {
  if (!isRecord(block)) return [];
  const groups = Array.isArray(block.key_groups) ? block.key_groups : [];
  const found = Object.entries(lists).flatMap(([list, { kind, fields }]) => {
    const items = Array.isArray(block[list]) ? block[list].filter(isRecord) : [];
    return items.map((item) => ({ kind, name: nameOf(fields.map((field) => item[field])) }));
  });
  return [...found, ...groups.flatMap(recipientsIn)];
}

/** dotenv and ini have no lists; sops writes `age__list_0__map_recipient = age1…` there. */
function flattened(text: string): Recipient[] {
  const values = new Map<string, string>();
  for (const [, key, value] of text.matchAll(/^(\w+__map_\w+?)[ \t]*=[ \t]*(.*)$/gm)) {
    if (key && value) values.set(key.replace(/^sops_/, ''), value.trim());
  }
  const found: Recipient[] = [];
  for (const key of values.keys()) {
    const [, start, list = ''] = /^((?:key_groups__list_\d+__map_)?([a-z_]+?)__list_\d+__map_)enc$/.exec(key) ?? [];
    const entry = Object.hasOwn(lists, list) ? lists[list] : undefined;
    if (entry) found.push({ kind: entry.kind, name: nameOf(entry.fields.map((field) => values.get(start + field))) });
  }
  return found;
}

function nameOf(parts: unknown[]): string {
  const text = parts.map((part) => (typeof part === 'string' ? part : '?')).join('/');
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
