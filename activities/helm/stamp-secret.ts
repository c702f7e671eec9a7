// Changes a Secret on its way to the API server: its namespace, and one annotation. Helm sends its Secrets in Kubernetes'
// protobuf encoding, in which a later field of the same number is merged into an earlier one, so that nothing of the
// Secret's content has to be decoded.

export interface SecretStamp {
  namespace: string;
  annotation: string;
  value: string;
}

/** First bytes of every protobuf object. */
const magic = Buffer.from([0x6b, 0x38, 0x73, 0x00]);
/** Field numbers: of the envelope, of a Secret, of its metadata, of an entry of a map. */
const envelope = { raw: 2 } as const;
const secretFields = { metadata: 1 } as const;
const metadataFields = { namespace: 3, annotations: 12 } as const;
const mapEntry = { key: 1, value: 2 } as const;

/** The body with the stamp; JSON or protobuf. Throws an `Error` for anything else. */
export function stampSecret(body: Uint8Array, stamp: SecretStamp): Uint8Array {
  const bytes = Buffer.from(body);
  return bytes.subarray(0, magic.length).equals(magic) ? stampProtobuf(bytes, stamp) : stampJson(bytes, stamp);
}

function stampJson(body: Buffer, { namespace, annotation, value }: SecretStamp): Uint8Array {
  const secret = JSON.parse(body.toString('utf8')) as { metadata?: { annotations?: Record<string, string> } };
  const annotations = { ...secret.metadata?.annotations, [annotation]: value };
  return Buffer.from(JSON.stringify({ ...secret, metadata: { ...secret.metadata, namespace, annotations } }));
}

function stampProtobuf(body: Buffer, { namespace, annotation, value }: SecretStamp): Uint8Array {
  const entry = Buffer.concat([field(mapEntry.key, annotation), field(mapEntry.value, value)]);
  const metadata = Buffer.concat([
    field(metadataFields.namespace, namespace),
    field(metadataFields.annotations, entry),
  ]);
  const added = field(secretFields.metadata, metadata);
  const parts: Buffer[] = [magic];
  let at = magic.length;
  let isFound = false;
  while (at < body.length) {
    const start = at;
    const [key, afterKey] = readVarint(body, at);
    if ((key & 7) !== 2) throw new Error('a protobuf object has an envelope of an unknown form');
    const [length, afterLength] = readVarint(body, afterKey);
    at = afterLength + length;
    if (at > body.length) throw new Error('a protobuf object is cut off');
    if (key >> 3 !== envelope.raw) {
      parts.push(body.subarray(start, at));
      continue;
    }
    isFound = true;
    parts.push(field(envelope.raw, Buffer.concat([body.subarray(afterLength, at), added])));
  }
  if (!isFound) throw new Error('a protobuf object has no content');
  return Buffer.concat(parts);
}

/** A field of bytes or text. */
function field(number: number, content: string | Buffer): Buffer {
  const bytes = Buffer.from(content as string);
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** The number at a place, and the place after it. */
function readVarint(bytes: Buffer, start: number): [number, number] {
  let value = 0;
  let factor = 1;
  for (let at = start; at < start + 5; at++) {
    const byte = bytes[at];
    if (byte === undefined) break;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return [value, at + 1];
    factor *= 128;
  }
  throw new Error('a protobuf object has a length that cannot be read');
}
