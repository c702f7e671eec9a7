// A signature as JWS in JSON (`application/jose+json`).
import * as z from 'zod';
import {
  checkHeaders,
  checkSignature,
  header,
  readCertificates,
  type SignatureContent,
  signingSchemes,
  signingTimeHeader,
} from './envelope.ts';

const envelope = z.object({
  payload: z.string(),
  protected: z.string(),
  header: z.object({ x5c: z.array(z.string()) }),
  signature: z.string(),
});
const protectedHeader = z.looseObject({
  alg: z.string(),
  cty: z.string(),
  crit: z.array(z.string()).min(1),
});

/** Throws an error that says what is wrong with it. */
export function openJwsEnvelope(bytes: Buffer): SignatureContent {
  const parsed = parse(envelope, bytes, 'it is no JWS');
  const headers = parse(
    protectedHeader,
    Buffer.from(parsed.protected, 'base64url'),
    'its protected header is not valid',
  );
  const certificates = readCertificates(parsed.header.x5c.map((der) => Buffer.from(der, 'base64')));
  const signed = Buffer.from(`${parsed.protected}.${parsed.payload}`, 'utf8');
  checkSignature(headers.alg, signed, Buffer.from(parsed.signature, 'base64url'), certificates[0]);

  const missing = headers.crit.find((name) => headers[name] === undefined);
  if (missing !== undefined) throw new Error(`its header "${missing}" is marked as critical and is not there`);
  const scheme = signingSchemes.find((name) => name === headers[header.scheme]);
  if (scheme === 'notary.x509' && headers[header.authenticSigningTime] !== undefined) {
    throw new Error(`its header "${header.authenticSigningTime}" does not fit its signing scheme`);
  }
  const expiry = timeOf(headers, header.expiry);
  const checked = checkHeaders({
    scheme: headers[header.scheme],
    signingTime: scheme && timeOf(headers, signingTimeHeader(scheme)),
    expiry,
    critical: headers.crit,
  });
  return {
    ...checked,
    ...(expiry ? { expiry } : {}),
    payload: Buffer.from(parsed.payload, 'base64url'),
    contentType: headers.cty,
    certificates,
  };
}

function timeOf(headers: Record<string, unknown>, name: string): Date | undefined {
  const value = headers[name];
  if (value === undefined || value === null) return undefined;
  const time = typeof value === 'string' ? new Date(value) : new Date(Number.NaN);
  if (Number.isNaN(time.getTime())) throw new Error(`its header "${name}" is no time`);
  return time;
}

function parse<T>(schema: z.ZodType<T>, bytes: Buffer, problem: string): T {
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new Error(`${problem}: expected JSON`);
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Error(`${problem}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trimEnd());
}
