// Digests of the form `<algorithm>:<hex>`, as artifacts carry them (contract 1.0).
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';

/** What we can write and verify. */
export const digestAlgorithms = ['sha256', 'sha384', 'sha512'] as const;
export type DigestAlgorithm = (typeof digestAlgorithms)[number];

export interface Digest {
  algorithm: DigestAlgorithm;
  /** Lower-case hexadecimal. */
  hex: string;
}

const hexLength: Record<DigestAlgorithm, number> = { sha256: 64, sha384: 96, sha512: 128 };

/** Splits and checks a digest. Throws an `Error` that says what is wrong with it; blake3 is named as unsupported. */
export function parseDigest(digest: string): Digest {
  const colon = digest.indexOf(':');
  const algorithm = digest.slice(0, Math.max(colon, 0));
  const hex = digest.slice(colon + 1).toLowerCase();
  if (algorithm === 'blake3') {
    throw new Error(`digest algorithm "blake3" is not supported, use one of ${digestAlgorithms.join(', ')}`);
  }
  if (!isDigestAlgorithm(algorithm)) {
    throw new Error(`digest "${digest.slice(0, 160)}" is not of the form "<${digestAlgorithms.join('|')}>:<hex>"`);
  }
  if (!/^[0-9a-f]+$/.test(hex) || hex.length !== hexLength[algorithm]) {
    throw new Error(`digest "${digest.slice(0, 160)}" is not ${hexLength[algorithm]} hexadecimal digits long`);
  }
  return { algorithm, hex };
}

function isDigestAlgorithm(value: string): value is DigestAlgorithm {
  return (digestAlgorithms as readonly string[]).includes(value);
}

/** `<algorithm>:<hex>` of what the hash has seen. */
export function formatDigest(algorithm: DigestAlgorithm, hash: Hash): string {
  return `${algorithm}:${hash.digest('hex')}`;
}

/** The digest of a file, read as a stream. Throws the file system's error. */
export async function digestOfFile(path: string, algorithm: DigestAlgorithm): Promise<string> {
  const hash = createHash(algorithm);
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 })) hash.update(chunk as Buffer);
  return formatDigest(algorithm, hash);
}
