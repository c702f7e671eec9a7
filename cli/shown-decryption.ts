// Decryption for what is shown to a person: either what is decrypted is taken note of, so that it can be masked, or
// nothing is decrypted and each encrypted value says so.
import { parseAllDocuments, stringify } from 'yaml';
import { addPlainValues, type PlainValues } from '../activities/build/decryption/encrypted-values.ts';
import type { Decryption } from '../activities/build/decryption/decryption.ts';
import type { EncryptedContent, SopsSession } from '../activities/build/decryption/sops-session.ts';
import { encryptedValueMark } from '../activities/build/decryption/sops-metadata.ts';
import type { SecretValues } from './secret-values.ts';

/** What stands for a value that is not decrypted. */
export const encryptedText = '<encrypted>';

/** The same decryption, which adds each value that it decrypts to `secrets`. */
export function noting(decryption: Decryption, secrets: SecretValues): Decryption {
  return {
    ...decryption,
    open(temporaryDirectory, signal) {
      const session = decryption.open(temporaryDirectory, signal);
      return {
        async decrypt(encrypted) {
          const plain = await session.decrypt(encrypted);
          for (const value of decryptedValues(encrypted, Buffer.from(plain).toString('utf8'))) secrets.add(value);
          return plain;
        },
        close: () => session.close(),
      };
    },
  };
}

/** A decryption without keys. */
export function withoutKeys(): Decryption {
  const session: SopsSession = {
    decrypt: async (encrypted) => Buffer.from(markEncrypted(encrypted)),
    close: async () => undefined,
  };
  return { digest: '', open: () => session };
}

/** The values that were encrypted in a file, as they are in plain. Of an unknown form, all of the text is one value. */
function decryptedValues({ content, input, output }: EncryptedContent, plain: string): unknown[] {
  if (input === 'binary' || output === 'binary') return [plain];
  if (input === 'dotenv' || input === 'ini') {
    return plain.split('\n').map((line) => line.slice(line.indexOf('=') + 1).replace(/^["']|["']$/g, ''));
  }
  const values: PlainValues = new Map();
  const before = documentsOf(textOf(content));
  const after = documentsOf(plain);
  for (const [index, document] of before.entries()) addPlainValues(values, document, after[index]);
  return [...values.values()];
}

/** The content without the block of sops, and with a text for each encrypted value. */
function markEncrypted({ content, input, output }: EncryptedContent): string {
  if (input === 'binary' || output === 'binary') return encryptedText;
  const text = textOf(content);
  if (input === 'yaml' || input === 'json') {
    const documents = documentsOf(text).map((document) => marked({ ...document, sops: undefined }));
    return output === 'json'
      ? JSON.stringify(documents[0])
      : documents.map((document) => stringify(document)).join('---\n');
  }
  const own = input === 'ini' ? text.replace(/^\[sops\]$[^]*/m, '') : text.replace(/^sops_.*$/gm, '');
  return own.replace(/ENC\[AES256_GCM,[^\]]*\]/g, encryptedText);
}

function marked(value: unknown): unknown {
  if (typeof value === 'string') return value.includes(encryptedValueMark) ? encryptedText : value;
  if (Array.isArray(value)) return value.map(marked);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, marked(part)]));
}

/** The mappings in a text of YAML or JSON. */
function documentsOf(text: string): Record<string, unknown>[] {
  const documents = parseAllDocuments(text, { logLevel: 'silent', schema: 'yaml-1.1', uniqueKeys: false });
  if (!Array.isArray(documents)) return [];
  return documents
    .map((document): unknown => (document.errors.length > 0 ? undefined : document.toJS({ maxAliasCount: 100 })))
    .filter((value): value is Record<string, unknown> => typeof value === 'object' && value !== null);
}

function textOf(content: Uint8Array): string {
  return Buffer.from(content).toString('utf8');
}
