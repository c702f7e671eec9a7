// What an S3 server lists and how it refuses, read from its XML.
import { childrenOf, parseXml, textOf, type XmlElement } from './xml.ts';

/** One object of a listing. */
export interface S3Object {
  /** The key as its bytes, since it need not be UTF-8. */
  keyBytes: Uint8Array;
  /** Without quotes. */
  etag: string;
  sizeBytes: number;
  modifiedMs: number;
}

export interface S3Page {
  objects: S3Object[];
  /** Where the next page begins; undefined on the last one. */
  nextToken?: string;
}

/** One page of `ListObjectsV2`. Throws an `Error` when the answer is none. */
export function parseS3Page(text: string): S3Page {
  const root = parseXml(text);
  if (root.name !== 'ListBucketResult') throw new Error(`expected a "ListBucketResult", got "${root.name}"`);
  const isEncoded = textOf(root, 'EncodingType') === 'url';
  const objects = childrenOf(root, 'Contents').map((element) => objectOf(element, isEncoded));
  const nextToken = textOf(root, 'NextContinuationToken');
  if (textOf(root, 'IsTruncated') !== 'true') return { objects };
  if (!nextToken) throw new Error('the listing is cut off and says not where it goes on');
  return { objects, nextToken };
}

function objectOf(element: XmlElement, isEncoded: boolean): S3Object {
  const key = textOf(element, 'Key');
  const sizeBytes = Number(textOf(element, 'Size'));
  if (key === undefined || !Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
    throw new Error('the listing holds an object without a key or a size');
  }
  return {
    keyBytes: isEncoded ? decodeKey(key) : Buffer.from(key),
    etag: (textOf(element, 'ETag') ?? '').replaceAll('"', ''),
    sizeBytes,
    modifiedMs: Date.parse(textOf(element, 'LastModified') ?? '') || 0,
  };
}

/** The bytes of a key that is encoded as in a form (`+` for a blank), which listings ask for. */
function decodeKey(key: string): Uint8Array {
  const bytes = Buffer.from(key.replaceAll('+', ' '));
  const decoded = Buffer.alloc(bytes.length);
  let length = 0;
  for (let i = 0; i < bytes.length; i++) {
    const hex = bytes.subarray(i + 1, i + 3).toString('latin1');
    const isEscape = bytes[i] === 0x25 && /^[0-9a-fA-F]{2}$/.test(hex);
    decoded[length++] = isEscape ? Number.parseInt(hex, 16) : (bytes[i] as number);
    if (isEscape) i += 2;
  }
  return decoded.subarray(0, length);
}

/** The `<Error>` of an answer, as far as it is one. */
export function parseS3Refusal(text: string): { code?: string; message?: string; region?: string } {
  try {
    const root = parseXml(text);
    const error = root.name === 'Error' ? root : root.children.find(({ name }) => name === 'Error');
    return { code: textOf(error, 'Code'), message: textOf(error, 'Message'), region: textOf(error, 'Region') };
  } catch {
    return {};
  }
}
