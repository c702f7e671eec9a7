// A release Secret as the API server answers it to helm.
import { isProtobuf, rawField, readEnvelope, readFields } from './protobuf.ts';

/** What identifies the Secret's version, and the release as Helm has packed it. */
export interface AnsweredSecret {
  namespace: string;
  name: string;
  resourceVersion: string;
  packed: Buffer;
}

/** Field numbers: of a Secret, of its metadata, of an entry of a map. */
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

function contentOf(fields: ReturnType<typeof readFields>, wanted: number): Buffer | undefined {
  return fields.find(({ number }) => number === wanted)?.content;
}
