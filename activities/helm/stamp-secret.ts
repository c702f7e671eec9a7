// Changes a Secret on its way to the API server: its namespace, and one annotation. Helm sends its Secrets in Kubernetes'
// protobuf encoding, in which a later field of the same number is merged into an earlier one, so that nothing of the
// Secret's content has to be decoded.

import { field, isProtobuf, rawField, readEnvelope, writeEnvelope } from './protobuf.ts';

export interface SecretStamp {
  namespace: string;
  annotation: string;
  value: string;
}

/** Field numbers: of a Secret, of its metadata, of an entry of a map. */
const secretFields = { metadata: 1 } as const;
const metadataFields = { namespace: 3, annotations: 12 } as const;
const mapEntry = { key: 1, value: 2 } as const;

/** The body with the stamp; JSON or protobuf. Throws an `Error` for anything else. */
export function stampSecret(body: Uint8Array, stamp: SecretStamp): Uint8Array {
  const bytes = Buffer.from(body);
  return isProtobuf(bytes) ? stampProtobuf(bytes, stamp) : stampJson(bytes, stamp);
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
  const fields = readEnvelope(body);
  if (!fields.some(({ number }) => number === rawField)) throw new Error('a protobuf object has no content');
  return writeEnvelope(
    fields.map(({ number, content, encoded }) =>
      number === rawField ? field(rawField, Buffer.concat([content, added])) : encoded,
    ),
  );
}
