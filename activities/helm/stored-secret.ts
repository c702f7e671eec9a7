// A release Secret as helm and the API server send it to each other.
import { type Field, field, isProtobuf, rawField, readEnvelope, readFields, writeEnvelope } from './protobuf.ts';

/** What identifies the Secret's version, and the release as Helm has packed it. */
export interface AnsweredSecret {
  namespace: string;
  name: string;
  resourceVersion: string;
  packed: Buffer;
}

/** Field numbers: of the envelope, of its type, of a list, of a Secret, of its metadata, of an entry of a map. */
const envelopeFields = { type: 1 } as const;
const typeFields = { kind: 2 } as const;
const listFields = { items: 2 } as const;
const secretFields = { metadata: 1, data: 2 } as const;
const metadataFields = { name: 1, namespace: 3, resourceVersion: 6 } as const;
const mapEntry = { key: 1, value: 2 } as const;

/** Reads a Secret in Kubernetes' protobuf encoding; undefined for anything that is none, or holds no release. */
export function releaseOfSecret(answer: Buffer): AnsweredSecret | undefined {
  if (!isProtobuf(answer)) return undefined;
  try {
    const secret = contentOf(readEnvelope(answer), rawField);
    const fields = secret && readFields(secret);
    const metadata = fields && contentOf(fields, secretFields.metadata);
    if (!metadata) return undefined;
    const identity = readFields(metadata);
    const text = (number: number): string => contentOf(identity, number)?.toString('utf8') ?? '';
    const entries = fields
      .filter(({ number }) => number === secretFields.data)
      .map(({ content }) => readFields(content));
    const release = entries.find((entry) => contentOf(entry, mapEntry.key)?.toString('utf8') === 'release');
    const packed = release && contentOf(release, mapEntry.value);
    const [name, resourceVersion] = [text(metadataFields.name), text(metadataFields.resourceVersion)];
    if (!packed || !name || !resourceVersion) return undefined;
    return { namespace: text(metadataFields.namespace), name, resourceVersion, packed };
  } catch {
    return undefined;
  }
}

/** The name of a Secret that is sent, in either encoding. Throws an `Error` for anything else. */
export function secretNameOf(body: Uint8Array): string {
  const bytes = Buffer.from(body);
  if (!isProtobuf(bytes)) return (JSON.parse(bytes.toString('utf8')) as { metadata: { name: string } }).metadata.name;
  const secret = contentOf(readEnvelope(bytes), rawField);
  const metadata = secret && contentOf(readFields(secret), secretFields.metadata);
  const name = metadata && contentOf(readFields(metadata), metadataFields.name);
  if (!name) throw new Error('a Secret has no name');
  return name.toString('utf8');
}

/** Changes a packed release. */
export type ChangePacked = (packed: Buffer) => Buffer;

/** A Secret, or a list of them, with other releases in it; JSON or protobuf. Throws an `Error` for anything else. */
export function changeReleases(body: Uint8Array, change: ChangePacked): Buffer {
  const bytes = Buffer.from(body);
  if (!isProtobuf(bytes)) return changeJson(bytes, change);
  const envelope = readEnvelope(bytes);
  const type = contentOf(envelope, envelopeFields.type);
  const isList = type && contentOf(readFields(type), typeFields.kind)?.toString('utf8') === 'SecretList';
  const inSecret = (secret: Buffer): Buffer => replaced(secret, secretFields.data, (entry) => inEntry(entry, change));
  const inObject = isList ? (list: Buffer): Buffer => replaced(list, listFields.items, inSecret) : inSecret;
  return writeEnvelope(envelope.map((one) => (one.number === rawField ? again(one, inObject) : one.encoded)));
}

/** A message with other contents in the fields of a number. */
function replaced(message: Buffer, number: number, change: (content: Buffer) => Buffer): Buffer {
  return Buffer.concat(readFields(message).map((one) => (one.number === number ? again(one, change) : one.encoded)));
}

function again({ number, content }: Field, change: (content: Buffer) => Buffer): Buffer {
  return field(number, change(content));
}

function inEntry(entry: Buffer, change: ChangePacked): Buffer {
  const isRelease = contentOf(readFields(entry), mapEntry.key)?.toString('utf8') === 'release';
  return isRelease ? replaced(entry, mapEntry.value, change) : entry;
}

interface JsonSecret {
  data?: Record<string, string>;
}

function changeJson(body: Buffer, change: ChangePacked): Buffer {
  const object = JSON.parse(body.toString('utf8')) as JsonSecret & { items?: JsonSecret[] };
  for (const { data } of object.items ?? [object]) {
    if (data?.release) data.release = change(Buffer.from(data.release, 'base64')).toString('base64');
  }
  return Buffer.from(JSON.stringify(object));
}

function contentOf(fields: readonly Field[], wanted: number): Buffer | undefined {
  return fields.find(({ number }) => number === wanted)?.content;
}
