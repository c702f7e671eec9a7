// Whether a request is signed as AWS asks for it (Signature Version 4), computed here anew from AWS's description.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** Access key id → what belongs to it. */
export type AwsKeys = Record<string, { secretAccessKey: string; sessionToken?: string }>;

const maxSkewMs = 15 * 60_000;

/** What is wrong with the signature; undefined when it is right. `service` and `region` are those that are asked. */
export function signatureProblem(
  { method = '', url = '/', headers }: IncomingMessage,
  body: string,
  { keys, service, region }: { keys: AwsKeys; service: string; region: string },
): string | undefined {
  const parts =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    );
  if (!parts) return 'there is no signature';
  const [, id = '', scope = '', signedNames = '', signature = ''] = parts;
  const key = keys[id];
  if (!key) return `the key "${id}" is not known`;
  if (headers['x-amz-security-token'] !== key.sessionToken) return 'the session token is not that of the key';
  const time = String(headers['x-amz-date']);
  if (scope !== `${time.slice(0, 8)}/${region}/${service}/aws4_request`) return `the scope is "${scope}"`;
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(time) ?? [];
  const madeMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (!(Math.abs(madeMs - Date.now()) < maxSkewMs)) return `the time is "${time}"`;
  const names = signedNames.split(';');
  for (const name of ['host', 'x-amz-date', 'x-amz-target']) {
    if (!names.includes(name)) return `the header "${name}" is not signed`;
  }
  const { pathname, searchParams } = new URL(url, 'http://server');
  searchParams.sort();
  const canonical = [
    method,
    pathname,
    searchParams.toString(),
    ...names.map((name) => `${name}:${String(headers[name])}`),
    '',
    signedNames,
    createHash('sha256').update(body).digest('hex'),
  ].join('\n');
  const text = ['AWS4-HMAC-SHA256', time, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
  const wanted = awsSignature(key.secretAccessKey, scope, text);
  return timingSafeEqual(Buffer.from(wanted), Buffer.from(signature)) ? undefined : 'the signature is wrong';
}

/** The signature of a text, `scope` as `<date>/<region>/<service>/aws4_request`. */
export function awsSignature(secretAccessKey: string, scope: string, text: string): string {
  let key: string | Buffer = `AWS4${secretAccessKey}`;
  for (const part of scope.split('/')) key = createHmac('sha256', key).update(part).digest();
  return createHmac('sha256', key).update(text).digest('hex');
}
