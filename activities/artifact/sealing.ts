// Seals what the artifact store keeps of built manifests, as they hold Secrets: whoever reads the store's files, a backup
// of them or the disk of a worker reads nothing without the installation's key.
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

/** Seals content and opens it again; `name` is bound to it, so that no sealed blob passes for another. */
export interface Sealer {
  seal(content: Uint8Array, name: string): Uint8Array;
  /** undefined for what was not sealed, was sealed with another key or for another name, or was changed. */
  open(sealed: Uint8Array, name: string): Uint8Array | undefined;
}

/** Bytes of an installation's key. */
export const sealingKeyBytes = 32;

const cipher = 'aes-256-gcm';
/** Of the format: mark, nonce, ciphertext, tag. */
const mark = Buffer.from('CSB1');
const nonceBytes = 12;
const tagBytes = 16;

/** A sealer (AES-256-GCM) with a key derived from the installation's. Throws an `Error` when that has another length. */
export function createSealer(installationKey: Uint8Array): Sealer {
  if (installationKey.length !== sealingKeyBytes) {
    throw new Error(`sealing key has ${installationKey.length} bytes, expected ${sealingKeyBytes}`);
  }
  const key = Buffer.from(hkdfSync('sha256', installationKey, '', 'continuo built manifests', 32));

  return {
    seal(content, name) {
      const nonce = randomBytes(nonceBytes);
      const sealing = createCipheriv(cipher, key, nonce, { authTagLength: tagBytes }).setAAD(Buffer.from(name));
      return Buffer.concat([mark, nonce, sealing.update(content), sealing.final(), sealing.getAuthTag()]);
    },
    open(sealed, name) {
      const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
      const start = mark.length + nonceBytes;
      if (bytes.length < start + tagBytes || !bytes.subarray(0, mark.length).equals(mark)) return undefined;
      const opening = createDecipheriv(cipher, key, bytes.subarray(mark.length, start), { authTagLength: tagBytes });
      opening.setAAD(Buffer.from(name)).setAuthTag(bytes.subarray(-tagBytes));
      try {
        return Buffer.concat([opening.update(bytes.subarray(start, -tagBytes)), opening.final()]);
      } catch {
        return undefined;
      }
    },
  };
}
