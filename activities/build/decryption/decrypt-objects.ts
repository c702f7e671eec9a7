// Decrypts what a build gave: objects with a block of sops, and encrypted files in the values of Secrets
// (contract 2.1, "Decryption").
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type KubeObject, refOf, subjectOf } from '../../../k8s/object.ts';
import type { UnpackedArtifact } from '../../artifact/artifact.ts';
import type { Closure } from '../closure.ts';
import { fileTreeOf } from '../file-tree.ts';
import { isRecord, readYaml } from '../read-manifests.ts';
import { addPlainValues, fillIn, macOf, type PlainValues } from './encrypted-values.ts';
import { decryptionFailed, type SopsSession, settled } from './sops-session.ts';
import { detectFormat, isEncryptedObject, outputFormat } from './sops-metadata.ts';

const disabledKey = 'kustomize.toolkit.fluxcd.io/decrypt';

/** Where the objects of a build come from. */
export interface BuiltFrom {
  artifact: UnpackedArtifact;
  closure: Pick<Closure, 'files' | 'isComplete' | 'remotes'>;
}

/**
 * The objects with everything decrypted that is to be, in their order. Every file that an encrypted object is from is
 * decrypted with its message authentication code checked. Fails with BuildFailed, naming the file or object.
 */
export async function decryptObjects(
  objects: readonly KubeObject[],
  { artifact, closure }: BuiltFrom,
  session: SopsSession,
): Promise<KubeObject[]> {
  const encrypted = objects.filter((object) => isEncryptedObject(object) && !isDecryptionDisabled(object));
  const bare = encrypted.find((object) => macOf(object) === '');
  if (bare)
    throw decryptionFailed(`${subject(bare)} has no message authentication code (MacNotFound): encrypt it again`);
  const macs = new Set(encrypted.map(macOf));
  const values = macs.size > 0 ? await valuesOfFiles(artifact, closure, macs, session) : undefined;
  return await settled(
    objects.map(async (object) => {
      if (isDecryptionDisabled(object)) return object;
      if (!isEncryptedObject(object)) return object.kind === 'Secret' ? await decryptEntries(object, session) : object;
      if (values?.macs.has(macOf(object))) return complete(object, values.plain);
      if (closure.remotes.length > 0) return await decryptAlone(object, session);
      throw decryptionFailed(
        `${subject(object)} has a SOPS block that is in no file of the source: keep it in a file of its own`,
      );
    }),
  );
}

/**
 * Refuses what would be applied with its values still encrypted: a Secret with a block of sops, where the Kustomization
 * has no `spec.decryption`. Fails with BuildFailed.
 */
export function assertNotEncrypted(objects: readonly KubeObject[]): void {
  const secret = objects.find(
    (object) => object.kind === 'Secret' && isEncryptedObject(object) && !isDecryptionDisabled(object),
  );
  if (!secret) return;
  throw decryptionFailed(`${subject(secret)} is encrypted with SOPS: set spec.decryption, with the provider "sops"`);
}

/** True for an object that is to stay as it is: annotation or label `decrypt: disabled`, matched exactly. */
export function isDecryptionDisabled({ metadata }: KubeObject): boolean {
  return metadata.annotations?.[disabledKey] === 'disabled' || metadata.labels?.[disabledKey] === 'disabled';
}

/** Decrypts every file that one of these codes is in: a copy that was changed has the same code as what it is a copy of. */
async function valuesOfFiles(
  artifact: UnpackedArtifact,
  closure: BuiltFrom['closure'],
  macs: ReadonlySet<string>,
  session: SopsSession,
): Promise<{ plain: PlainValues; macs: Set<string> }> {
  const found = { plain: new Map<string, unknown>(), macs: new Set<string>() };
  const files = closure.isComplete ? closure.files : fileTreeOf(artifact).filesBelow('');
  const work: Promise<void>[] = [];
  try {
    for (const path of files.filter((name) => /\.(?:ya?ml|json)$/.test(name) || closure.isComplete)) {
      const content = await readFile(join(artifact.directory, path));
      if (content.includes('ENC[') && [...macs].some((mac) => content.includes(mac))) {
        work.push(addFile(path, content, found, session));
      }
    }
  } finally {
    await settled(work);
  }
  return found;
}

async function addFile(
  path: string,
  content: Uint8Array,
  found: { plain: PlainValues; macs: Set<string> },
  session: SopsSession,
): Promise<void> {
  const name = `file "${path}"`;
  // A JSON file is YAML as well, but sops writes one as the other only with the right name for it.
  const format = detectFormat(content, `${path}.json`) ?? 'yaml';
  const plain = await session.decrypt({ content, input: format, output: format, subject: name });
  const before = documentsOf(content, name);
  const after = documentsOf(plain, name);
  if (before.length !== after.length)
    throw decryptionFailed(`${name} has other documents after decryption than before`);
  for (const [index, document] of before.entries()) {
    if (!isRecord(document) || macOf(document) === '') continue;
    addPlainValues(found.plain, document, after[index]);
    found.macs.add(macOf(document));
  }
}

function documentsOf(content: Uint8Array, name: string): unknown[] {
  try {
    return readYaml(Buffer.from(content).toString('utf8'), name).documents.map(({ value }) => value);
  } catch {
    // The reader quotes the line, which may be plain text by now.
    throw decryptionFailed(`${name} is no YAML once it is decrypted`);
  }
}

function complete(object: KubeObject, values: PlainValues): KubeObject {
  const filled = fillIn(object, values);
  if ('object' in filled) return filled.object;
  throw decryptionFailed(
    `${subject(object)} has an encrypted value at "${filled.unknownPath}" that is not the one of its file: ` +
      'kustomize or a patch changed it; encrypt only data and stringData (--encrypted-regex)',
  );
}

/**
 * An object that kustomize fetched over the network, whose file never was here. Each value is verified by its own tag;
 * the code over the whole file cannot be, as kustomize has sorted and changed the object since.
 */
async function decryptAlone(object: KubeObject, session: SopsSession): Promise<KubeObject> {
  const content = Buffer.from(JSON.stringify(object));
  const name = subject(object);
  const plain = await session.decrypt({ content, input: 'json', output: 'json', subject: name, isMacIgnored: true });
  return JSON.parse(Buffer.from(plain).toString('utf8')) as KubeObject;
}

/** A Secret whose values are whole encrypted files, as a generator or a template puts them there. */
async function decryptEntries(object: KubeObject, session: SopsSession): Promise<KubeObject> {
  const data = { ...(isRecord(object.data) ? object.data : {}) };
  const stringData = { ...(isRecord(object.stringData) ? object.stringData : {}) };
  const decrypt = async (field: string, key: string, content: Uint8Array): Promise<Uint8Array | undefined> => {
    const input = detectFormat(content, key);
    if (!input) return undefined;
    const place = `entry "${key}" in ${field} of ${subject(object)}`;
    return await session.decrypt({ content, input, output: outputFormat(input, key), subject: place });
  };
  let isChanged = false;
  await settled([
    ...Object.entries(data).map(async ([key, value]) => {
      const content = typeof value === 'string' ? base64Bytes(value) : undefined;
      const plain = content && (await decrypt('data', key, content));
      if (!plain) return;
      data[key] = Buffer.from(plain).toString('base64');
      isChanged = true;
    }),
    ...Object.entries(stringData).map(async ([key, value]) => {
      const plain = typeof value === 'string' ? await decrypt('stringData', key, Buffer.from(value)) : undefined;
      if (!plain) return;
      // The API server gives stringData precedence; what is no text can only be in data.
      data[key] = Buffer.from(plain).toString('base64');
      delete stringData[key];
      isChanged = true;
    }),
  ]);
  if (!isChanged) return object;
  const { stringData: _, ...rest } = object;
  return { ...rest, data, ...(Object.keys(stringData).length > 0 ? { stringData } : {}) };
}

/** undefined for what is no base64: the API server is the one to refuse it. */
function base64Bytes(text: string): Buffer | undefined {
  return /^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(text) ? Buffer.from(text, 'base64') : undefined;
}

function subject(object: KubeObject): string {
  return subjectOf(refOf(object));
}
