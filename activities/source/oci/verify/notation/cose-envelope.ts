// A signature as COSE_Sign1 in CBOR (`application/cose`).
import { decode, encode } from 'cborg';
import { messageOf } from '../../../../errors.ts';
import {
  checkHeaders,
  checkSignature,
  header,
  readCertificates,
  type SignatureContent,
  signingSchemes,
  signingTimeHeader,
} from './envelope.ts';

/** Labels of headers (RFC 9052, RFC 9360). */
const label = { algorithm: 1, critical: 2, contentType: 3, certificates: 33 } as const;
const algorithms = new Map<unknown, string>([
  [-7, 'ES256'],
  [-35, 'ES384'],
  [-36, 'ES512'],
  [-37, 'PS256'],
  [-38, 'PS384'],
  [-39, 'PS512'],
]);
const sign1Tag = 18;
const epochTag = 1;

type Headers = Map<unknown, unknown>;

/** Throws an error that says what is wrong with it. */
export function openCoseEnvelope(bytes: Buffer): SignatureContent {
  const { protectedBytes, unprotected, payload, signature } = openSign1(bytes);
  const headers = decodeHeaders(protectedBytes);
  const chain = unprotected.get(label.certificates);
  if (!Array.isArray(chain) || !chain.every((der) => der instanceof Uint8Array))
    throw new Error('it has no certificate');
  const certificates = readCertificates(chain);
  const signed = encode(['Signature1', protectedBytes, new Uint8Array(), payload]);
  checkSignature(algorithms.get(headers.get(label.algorithm)), signed, signature, certificates[0]);

  const critical = headers.get(label.critical);
  const scheme = signingSchemes.find((name) => name === headers.get(header.scheme));
  const expiry = timeOf(headers, header.expiry);
  const checked = checkHeaders({
    scheme: headers.get(header.scheme),
    signingTime: scheme && timeOf(headers, signingTimeHeader(scheme)),
    expiry,
    critical: Array.isArray(critical) ? critical : [],
  });
  const contentType = headers.get(label.contentType);
  return {
    ...checked,
    ...(expiry ? { expiry } : {}),
    payload: Buffer.from(payload),
    contentType: typeof contentType === 'string' ? contentType : '',
    certificates,
  };
}

interface Sign1 {
  protectedBytes: Uint8Array;
  unprotected: Headers;
  payload: Uint8Array;
  signature: Uint8Array;
}

function openSign1(bytes: Buffer): Sign1 {
  const message = decodeWith(bytes, { [sign1Tag]: (content) => ({ sign1: content() }) });
  const parts = isSign1(message) ? message.sign1 : undefined;
  if (!Array.isArray(parts) || parts.length !== 4) throw new Error('it is no COSE_Sign1 message');
  const [protectedBytes, unprotected, payload, signature] = parts as unknown[];
  const isComplete =
    protectedBytes instanceof Uint8Array &&
    unprotected instanceof Map &&
    payload instanceof Uint8Array &&
    signature instanceof Uint8Array;
  if (!isComplete) throw new Error('it is no complete COSE_Sign1 message');
  return { protectedBytes, unprotected: unprotected as Headers, payload, signature };
}

function decodeHeaders(bytes: Uint8Array): Headers {
  const headers = decodeWith(bytes, { [epochTag]: (content) => new Date(Number(content()) * 1000) });
  if (headers instanceof Map) return headers as Headers;
  throw new Error('its protected header is no map');
}

function decodeWith(bytes: Uint8Array, tags: Record<number, (content: () => unknown) => unknown>): unknown {
  try {
    return decode(bytes, { useMaps: true, rejectDuplicateMapKeys: true, tags });
  } catch (error) {
    throw new Error(`it is no valid CBOR (${messageOf(error)})`);
  }
}

function isSign1(value: unknown): value is { sign1: unknown } {
  return typeof value === 'object' && value !== null && 'sign1' in value;
}

function timeOf(headers: Headers, name: string): Date | undefined {
  const value = headers.get(name);
  if (value === undefined) return undefined;
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value;
  throw new Error(`its header "${name}" is no time`);
}
