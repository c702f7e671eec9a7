// Requests to one registry: its address, login where it asks for one, and its errors in words.
import { isLocalHost } from './oci-address.ts';
import { isWithoutTls, RegistryError } from './registry-error.ts';
import { type Access, createLogin } from './registry-login.ts';
import type { RegistryClientOptions } from './registry-client.ts';
import { type Answer, createTransport, dump, type Exchange, readBody } from './registry-transport.ts';

/** A request; `path` is relative to the registry's origin, or an absolute address that the registry gave. */
export interface RegistryRequest extends Pick<Exchange, 'method' | 'body' | 'signal'> {
  path: string;
  headers?: Readonly<Record<string, string>>;
  access: Access;
}

export interface RegistryHttp {
  /** The answer with any status; a 401 comes only when there is nothing to log in with. */
  send(request: RegistryRequest): Promise<Answer>;
  /** The error that an answer with another status than the expected ones stands for. `subject`: `tag "v1" of "ghcr.io/a"`. */
  errorOf(answer: Answer, subject: string, signal: AbortSignal): Promise<RegistryError>;
}

/** The one advice to those who have named no Secret. */
const defaultLoginAdvice =
  'it needs credentials: name a Secret of type "kubernetes.io/dockerconfigjson" in spec.secretRef';

/** Learns from 401 so often: which way to log in, and that a kept token holds no more. */
const maxChallenges = 2;
const maxErrorBytes = 64 * 1024;
const plainHosts = new Map<string, 'http' | 'https'>();
const maxPlainHosts = 256;

export function createRegistryHttp(options: RegistryClientOptions): RegistryHttp {
  const { host, isInsecure, credentials, connection = {} } = options;
  const what = `registry "${host}"`;
  const advice = credentials ? `check ${credentials.origin}` : (options.loginAdvice ?? defaultLoginAdvice);
  const isPlainAllowed = isInsecure || isLocalHost(host);
  const plainKey = `${isInsecure} ${host}`;
  const transport = createTransport({ what, connection, isInsecure });
  const login = createLogin({
    host,
    credentials,
    isInsecure: isPlainAllowed,
    transport: createTransport({ what: `token server of ${what}`, connection, isInsecure }),
    advice,
    realm: [connection.tls, connection.proxy?.address],
  });

  /** Where HTTP without TLS is allowed, TLS is tried first; what a host speaks is remembered. */
  async function origin(signal: AbortSignal): Promise<string> {
    if (!isPlainAllowed) return `https://${host}`;
    const known = plainHosts.get(plainKey);
    if (known) return `${known}://${host}`;
    const scheme = await schemeOf(signal);
    plainHosts.set(plainKey, scheme);
    for (const oldest of plainHosts.keys()) {
      if (plainHosts.size <= maxPlainHosts) break;
      plainHosts.delete(oldest);
    }
    return `${scheme}://${host}`;
  }

  async function schemeOf(signal: AbortSignal): Promise<'http' | 'https'> {
    try {
      const answer = await transport({ method: 'GET', url: `https://${host}/v2/`, signal });
      await dump(answer.body);
      return 'https';
    } catch (error) {
      signal.throwIfAborted();
      if (isInsecure || isWithoutTls(error)) return 'http';
      throw error;
    }
  }

  return {
    async send({ method, path, headers, body, access, signal }) {
      const home = await origin(signal);
      const url = new URL(path, home).href;
      const isHome = new URL(url).origin === home;
      for (let challenges = 0; ; challenges++) {
        const authorization = isHome ? await login.authorization(access, signal) : undefined;
        let answer: Answer;
        try {
          answer = await transport({ method, url, headers, body, authorization, signal });
        } catch (error) {
          plainHosts.delete(plainKey);
          throw error;
        }
        // Only the registry's own word says where credentials go.
        const isOwnAnswer = new URL(answer.url).origin === home;
        if (answer.status !== 401 || challenges >= maxChallenges || !isOwnAnswer) return answer;
        if (!login.learn(answer, access, authorization)) return answer;
        await dump(answer.body);
      }
    },

    async errorOf(answer, subject, signal) {
      const { status } = answer;
      const body = await readBody(answer, maxErrorBytes, `answer of ${what}`, signal).catch(() => Buffer.alloc(0));
      const told = serverReason(body);
      const reason = `HTTP ${status}${told ? `, ${told}` : ''}`;
      if (status === 401 || status === 403) {
        return new RegistryError('authentication', `${what} refused access to ${subject} (${reason}): ${advice}`);
      }
      if (status === 404) {
        return new RegistryError(
          'notFound',
          `${subject} was not found (${reason}): check the address and the reference; some registries also answer so without credentials`,
        );
      }
      return new RegistryError('protocol', `${what} gave an unexpected answer for ${subject} (${reason})`);
    },
  };
}

const maxReasonCharacters = 200;

/** The first error of a registry's error document, `CODE: message`; undefined when there is none. */
export function serverReason(body: Uint8Array): string | undefined {
  try {
    const { errors } = JSON.parse(Buffer.from(body).toString('utf8')) as {
      errors?: { code?: unknown; message?: unknown }[];
    };
    const { code, message } = errors?.[0] ?? {};
    const parts = [code, message].filter((part): part is string => typeof part === 'string' && part !== '');
    const text = parts
      .join(': ')
      .replaceAll(/[\p{Cc}]+/gu, ' ')
      .slice(0, maxReasonCharacters);
    return text === '' ? undefined : text;
  } catch {
    return undefined; // a proxy's page, or nothing
  }
}
