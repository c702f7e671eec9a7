// Decrypts the files that kustomize itself has to read in plain text: those of generators and patches. The plain copies
// are for the private directory of one build; the unpacked artifact keeps the encrypted ones.
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { UnpackedArtifact } from '../../artifact/artifact.ts';
import { failure, messageOf } from '../../errors.ts';
import type { Closure } from '../closure.ts';
import { withoutSecrets } from './sops-failure.ts';
import { detectFormat } from './sops-metadata.ts';
import { maxEncryptedBytes, type SopsSession, settled } from './sops-session.ts';

/** The plain copies by path, and what an error message of the build must not quote. */
export interface PlainSources {
  files: ReadonlyMap<string, Uint8Array>;
  /** The failure of a build of them, without any word of the plain copies that is not in the encrypted ones as well. */
  hide(error: Error): Error;
}

/** Where nothing is to be decrypted. */
export const noPlainSources: PlainSources = { files: new Map(), hide: (error) => error };

/** Decrypts what of these files is encrypted. Fails with BuildFailed, naming the file. */
export async function decryptSources(
  artifact: UnpackedArtifact,
  { contents }: Pick<Closure, 'contents'>,
  session: SopsSession,
): Promise<PlainSources> {
  const files = new Map<string, Uint8Array>();
  const secretWords = new Set<string>();
  await settled(
    [...contents].map(async ([path, name]) => {
      const content = await readBounded(join(artifact.directory, path));
      const format = content && detectFormat(content, name);
      if (!format) return;
      const plain = await session.decrypt({ content, input: format, output: format, subject: `file "${path}"` });
      files.set(path, plain);
      for (const word of wordsOnlyIn(plain, content)) secretWords.add(word);
    }),
  );
  return {
    files,
    hide(error) {
      const message = maskWords(messageOf(error), secretWords);
      // The error itself keeps the words, in its stack and its causes.
      return message === messageOf(error) ? error : failure('BuildFailed', message);
    },
  };
}

/** The words of a text that another has not. Numbers and names alike: whatever is between blanks and punctuation. */
export function wordsOnlyIn(plain: Uint8Array, encrypted: Uint8Array): Set<string> {
  const known = new Set(words(encrypted));
  return new Set(words(plain).filter((word) => !known.has(word)));
}

/**
 * A message in which none of the words is left. Short words are masked only beside a long one: by themselves they would
 * make every message unreadable, and tell nothing.
 */
export function maskWords(message: string, secret: ReadonlySet<string>): string {
  const masked = withoutSecrets(message, [...secret]);
  if (masked === message) return message;
  const parts = masked.split(/([\s"'`=:,;{}[\]()]+)/);
  return parts.map((part) => (secret.has(part) ? '***' : part)).join('');
}

function words(content: Uint8Array): string[] {
  return Buffer.from(content)
    .toString('utf8')
    .split(/[\s"'`=:,;{}[\]()]+/)
    .filter((word) => word !== '');
}

/** The content of a file, or of one that is too large as much of it as says that it is. */
async function readBounded(path: string): Promise<Uint8Array | undefined> {
  const file = await open(path).catch(() => undefined); // a file that is gone is kustomize's to report
  if (!file) return undefined;
  try {
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.min(size, maxEncryptedBytes + 1));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
