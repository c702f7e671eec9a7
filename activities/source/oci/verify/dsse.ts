// The bytes that the signature of a DSSE envelope is over.

/** Type and payload with their lengths in bytes, so that neither can be mistaken for part of the other. */
export function dssePreAuthEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const type = Buffer.from(payloadType, 'utf8');
  return Buffer.concat([
    Buffer.from(`DSSEv1 ${type.byteLength} `),
    type,
    Buffer.from(` ${payload.byteLength} `),
    payload,
  ]);
}
