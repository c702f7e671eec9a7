// The little of protobuf that the Secrets of Helm need, which it reads and writes in Kubernetes' encoding.

/** First bytes of every object in that encoding; what follows is an envelope, whose field 2 is the object. */
const magic = Buffer.from([0x6b, 0x38, 0x73, 0x00]);
/** Field of the envelope that holds the object. */
export const rawField = 2;

/** True for an object in Kubernetes' protobuf encoding. */
export function isProtobuf(body: Buffer): boolean {
  return body.subarray(0, magic.length).equals(magic);
}

/** The envelope's fields. Throws an `Error` for a damaged one. */
export function readEnvelope(body: Buffer): Field[] {
  return readFields(body.subarray(magic.length));
}

/** An object of the fields of its envelope, each as it is encoded. */
export function writeEnvelope(fields: readonly Buffer[]): Buffer {
  return Buffer.concat([magic, ...fields]);
}

export interface Field {
  number: number;
  /** Bytes, a text or a nested message; empty for a number. */
  content: Buffer;
  /** The field as it is encoded. */
  encoded: Buffer;
}

const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** The fields of a message, in their order. Throws an `Error` for a damaged one. */
export function readFields(message: Buffer): Field[] {
  const fields: Field[] = [];
  for (let at = 0; at < message.length; ) {
    const [key, afterKey] = readVarint(message, at);
    const type = key & 7;
    const end = endOf(message, type, afterKey);
    if (end > message.length) throw new Error('a protobuf object is cut off');
    const start = type === wire.bytes ? readVarint(message, afterKey)[1] : end;
    fields.push({ number: key >>> 3, content: message.subarray(start, end), encoded: message.subarray(at, end) });
    at = end;
  }
  return fields;
}

function endOf(message: Buffer, type: number, start: number): number {
  switch (type) {
    case wire.varint:
      return readVarint(message, start)[1];
    case wire.fixed64:
      return start + 8;
    case wire.fixed32:
      return start + 4;
    case wire.bytes: {
      const [length, afterLength] = readVarint(message, start);
      return afterLength + length;
    }
    default:
      throw new Error('a protobuf object has a field of an unknown form');
  }
}

/** A field of bytes or text. */
export function field(number: number, content: string | Buffer): Buffer {
  const bytes = Buffer.from(content as string);
  return Buffer.concat([varint((number << 3) | wire.bytes), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** The number at a place, and the place after it. A larger one than 64 bits have is damaged. */
function readVarint(bytes: Buffer, start: number): [number, number] {
  let value = 0;
  let factor = 1;
  for (let at = start; at < start + 10; at++) {
    const byte = bytes[at];
    if (byte === undefined) break;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return [value, at + 1];
    factor *= 128;
  }
  throw new Error('a protobuf object has a length that cannot be read');
}
