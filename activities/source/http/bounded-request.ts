// One HTTP request to a storage, a token service or another API: bounded, never redirected, refused in one way.
import { type Dispatcher, request } from 'undici';
import { HttpRefusal } from '../../http-refusal.ts';
import { parseS3Refusal } from '../../s3-listing.ts';

export interface HttpCall {
  method?: 'GET' | 'POST' | 'PUT';
  headers?: Record<string, string>;
  body?: string;
}

/** Largest answer that is read into memory. */
const maxAnswerBytes = 32 * 1024 * 1024;

/** The answer with a status below 300. Fails with {@link HttpRefusal}, or with the network's error. */
export async function openRequest(
  url: string | URL,
  { method = 'GET', headers, body }: HttpCall,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  const answer = await request(url, { method, headers, body, dispatcher, signal });
  if (answer.statusCode < 300) return answer;
  const text = await textOfAnswer(answer).catch(() => '');
  const { code, message } = refusalIn(text);
  throw new HttpRefusal(answer.statusCode, code ?? headerOf(answer, 'x-ms-error-code'), message);
}

/** The text of the answer. */
export async function requestText(
  url: string | URL,
  call: HttpCall,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<string> {
  return await textOfAnswer(await openRequest(url, call, dispatcher, signal));
}

/** The object that the answer is in JSON. Throws an `Error` for anything else. */
export async function requestJson(
  url: string | URL,
  call: HttpCall,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  const parsed = parseObject(await requestText(url, call, dispatcher, signal));
  if (!parsed) throw new Error('the server answered with something else than JSON');
  return parsed;
}

/** The values of a form, encoded. */
export function formBody(fields: Record<string, string>): HttpCall {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  };
}

export function headerOf({ headers }: Dispatcher.ResponseData, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

async function textOfAnswer({ body }: Dispatcher.ResponseData): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += (chunk as Buffer).length;
    if (sizeBytes > maxAnswerBytes) throw new Error(`the answer is longer than ${maxAnswerBytes} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Why a server refused, in the forms of S3 and Azure (XML), of Google's APIs, OAuth, AWS and registries (JSON). */
function refusalIn(text: string): { code?: string; message?: string } {
  const json = parseObject(text);
  if (!json) return parseS3Refusal(text);
  const { error, error_description: description, __type: type } = json;
  if (typeof error === 'string') return told(error, textOr(description, error));
  if (typeof type === 'string') return told(type.replace(/^.*#/, ''), textOr(json['message'], json['Message']));
  const [first] = Array.isArray(json['errors']) ? (json['errors'] as unknown[]) : [];
  const { message, status, code } = (error ?? first ?? {}) as Record<string, unknown>;
  return told(textOr(status, code), textOr(message, undefined));
}

function told(code: string | undefined, message: string | undefined): { code?: string; message?: string } {
  return { ...(code ? { code } : {}), ...(message ? { message } : {}) };
}

function textOr(value: unknown, other: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof other === 'string' ? other : undefined;
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
