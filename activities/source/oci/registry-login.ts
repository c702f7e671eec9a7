// How requests to a registry are authorized: as its challenge says, by a token of the server that it names, or by user
// and password. Logins are kept for the life of a token, so that a poll is one request.
import { createHash } from 'node:crypto';
import { type Challenge, parseChallenge } from './challenge.ts';
import type { RegistryCredentials } from './docker-config.ts';
import { RegistryError } from './registry-error.ts';
import { type Answer, dump, readBody, type Transport } from './registry-transport.ts';

/** What a request is for. */
export interface Access {
  repository: string;
  isPush: boolean;
}

export interface LoginOptions {
  host: string;
  credentials: RegistryCredentials | undefined;
  isInsecure: boolean;
  transport: Transport;
  /** What to do about a refusal: a half sentence. */
  advice: string;
  /** What else a login depends on, such as whom to trust: logins of one realm are not taken for those of another. */
  realm: unknown;
}

export interface Login {
  /** The Authorization header as far as it is known; undefined: try without. */
  authorization(access: Access, signal: AbortSignal): Promise<string | undefined>;
  /** Learns from a 401; false when another try cannot help. */
  learn(answer: Answer, access: Access, presented: string | undefined): boolean;
}

interface Token {
  value: string;
  expiresAtMs: number;
}

/** What is known of one registry for one set of credentials. */
interface Session {
  challenge?: Challenge;
  /** By the scopes that were asked for. */
  tokens: Map<string, Token>;
  /** What the registry asked for beyond the scope of the access. */
  scopes: Map<string, string>;
}

const maxSessions = 256;
const maxTokensOfSession = 256;
const sessions = new Map<string, Session>();
const maxTokenBytes = 256 * 1024;
/** Without `expires_in` a token holds for a minute (token specification). */
const defaultLifeMs = 60_000;
const safetyMs = 10_000;

export function createLogin({ host, credentials, isInsecure, transport, advice, realm }: LoginOptions): Login {
  const session = sessionOf(credentials, [host, isInsecure, realm]);
  const basic = credentials
    ? `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`
    : undefined;

  async function bearer(
    challenge: Challenge & { scheme: 'bearer' },
    access: Access,
    signal: AbortSignal,
  ): Promise<string> {
    const own = scopeOf(access);
    const scopes = [...new Set([own, session.scopes.get(own) ?? own])];
    const key = scopes.join(' ');
    const known = session.tokens.get(key);
    if (known && known.expiresAtMs > Date.now()) return known.value;
    const token = await fetchToken(challenge, scopes, signal);
    session.tokens.delete(key);
    session.tokens.set(key, token);
    for (const oldest of session.tokens.keys()) {
      if (session.tokens.size <= maxTokensOfSession) break;
      session.tokens.delete(oldest);
    }
    return token.value;
  }

  async function fetchToken(
    challenge: Challenge & { scheme: 'bearer' },
    scopes: string[],
    signal: AbortSignal,
  ): Promise<Token> {
    const { realm: address, service } = challenge;
    const url = tokenServer(address);
    const what = `token server "${url.origin}" of registry "${host}"`;
    const parameters = new URLSearchParams();
    if (service) parameters.set('service', service);
    for (const scope of scopes) parameters.append('scope', scope);
    let answer: Answer;
    if (credentials?.identityToken) {
      const form = new URLSearchParams({
        grant_type: 'refresh_token',
        client_id: 'continuo',
        service: service ?? '',
        scope: scopes.join(' '),
        refresh_token: credentials.identityToken,
      });
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      answer = await transport({ method: 'POST', url: url.href, headers, body: form.toString(), signal });
    } else {
      for (const [key, value] of parameters) url.searchParams.append(key, value);
      answer = await transport({ method: 'GET', url: url.href, authorization: basic, signal });
    }
    const { status } = answer;
    if (status !== 200) {
      await dump(answer.body);
      if (status === 401 || status === 403 || status === 400) {
        throw new RegistryError('authentication', `${what} refused the login (HTTP ${status}): ${advice}`);
      }
      throw new RegistryError('protocol', `${what} gave an unexpected answer (HTTP ${status}), expected 200`);
    }
    return parseToken(await readBody(answer, maxTokenBytes, `answer of ${what}`, signal), what, Date.now());
  }

  function tokenServer(address: string): URL {
    const url = URL.canParse(address) ? new URL(address) : undefined;
    if (!url || !['http:', 'https:'].includes(url.protocol) || url.username || url.password) {
      throw new RegistryError('protocol', `registry "${host}" names a token server that is no http(s) address`);
    }
    if (url.protocol === 'http:' && credentials && !isInsecure) {
      throw new RegistryError(
        'authentication',
        `registry "${host}" names the token server "${url.origin}", which is without TLS: credentials are not sent there`,
      );
    }
    return url;
  }

  return {
    async authorization(access, signal) {
      if (credentials?.registryToken) return `Bearer ${credentials.registryToken}`;
      const { challenge } = session;
      if (!challenge) return undefined;
      if (challenge.scheme === 'basic') return basic;
      return `Bearer ${await bearer(challenge, access, signal)}`;
    },

    learn({ headers }, access, presented) {
      if (credentials?.registryToken) return false;
      const challenge = parseChallenge(headers['www-authenticate']);
      if (!challenge) return false;
      session.challenge = challenge;
      if (challenge.scheme === 'basic') return basic !== undefined && presented !== basic;
      // A token that was refused is of no use any more: it was revoked, or is for less than is asked.
      if (presented !== undefined) session.tokens.clear();
      if (challenge.scope) {
        if (session.scopes.size >= maxTokensOfSession) session.scopes.clear();
        session.scopes.set(scopeOf(access), challenge.scope);
      }
      return true;
    },
  };
}

/** The scope of an access, as token servers spell it. */
export function scopeOf({ repository, isPush }: Access): string {
  return `repository:${repository}:${isPush ? 'pull,push' : 'pull'}`;
}

/** Reads a token server's answer. Fails with `protocol` when there is no token in it. */
export function parseToken(body: Uint8Array, what: string, nowMs: number): Token {
  let parsed: { token?: unknown; access_token?: unknown; expires_in?: unknown };
  try {
    parsed = JSON.parse(Buffer.from(body).toString('utf8')) as typeof parsed;
  } catch {
    throw new RegistryError('protocol', `${what} gave an answer that is no JSON`);
  }
  const value = parsed?.token || parsed?.access_token;
  if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value)) {
    throw new RegistryError('protocol', `${what} gave an answer without a token`);
  }
  const seconds = Number(parsed.expires_in);
  const lifeMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : defaultLifeMs;
  return { value, expiresAtMs: nowMs + Math.max(lifeMs - safetyMs, lifeMs / 2) };
}

function sessionOf(credentials: RegistryCredentials | undefined, where: unknown[]): Session {
  const { username, password, identityToken } = credentials ?? {};
  const id = createHash('sha256')
    .update(JSON.stringify([where, username, password, identityToken]))
    .digest('hex');
  const session = sessions.get(id) ?? { tokens: new Map(), scopes: new Map() };
  sessions.delete(id);
  sessions.set(id, session);
  for (const oldest of sessions.keys()) {
    if (sessions.size <= maxSessions) break;
    sessions.delete(oldest);
  }
  return session;
}
