// What an owner's last archive was made of, kept beside it, so that the next one copies what did not change. A cache: without
// it, or with one that does not fit, everything is packed anew with the same result.
import { type FileHandle, open } from 'node:fs/promises';
import type { PackedPart, PackReuse } from './pack-archive.ts';

interface PackedArchive {
  /** Of the archive's file, relative to the store. */
  path: string;
  parts: PackedPart[];
}

/** Key of the blob. `owner` as the store names it: `<kind>/<namespace>/<name>`. */
export function packedPartsKey(owner: string): string {
  return `parts/${owner}`;
}

export function formatPackedParts(archive: PackedArchive): Uint8Array {
  return Buffer.from(JSON.stringify(archive));
}

/** The last archive, opened; undefined when there is none. Whoever opens it closes it. */
export async function openPackedParts(
  blob: Uint8Array | undefined,
  fileOf: (path: string) => string,
): Promise<(PackReuse & { close(): Promise<void> }) | undefined> {
  let handle: FileHandle | undefined;
  try {
    if (!blob) return undefined;
    const { path, parts } = JSON.parse(Buffer.from(blob).toString('utf8')) as PackedArchive;
    const file = await open(fileOf(path), 'r');
    handle = file;
    return {
      parts,
      async read(offset, sizeBytes) {
        const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(sizeBytes), 0, sizeBytes, offset);
        return buffer.subarray(0, bytesRead);
      },
      close: () => file.close(),
    };
  } catch {
    await handle?.close();
    return undefined;
  }
}
