// Login as an installation of a GitHub App (contract 1.1, provider github): a signed statement of who we are is exchanged
// for a token of an hour, which is the password of the user `x-access-token`.
import { createHash, createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { request } from 'undici';
import { failure } from '../../errors.ts';
import { dispatcherFor } from '../http/dispatcher.ts';
import { type ProxySettings, secretText, type TlsSettings } from '../http/tls-secret.ts';
import { remoteFailure } from './remote-error.ts';

/** What the Secret of a GitHub App holds. */
export interface GitHubApp {
  appId: string;
  installation: { id: string } | { owner: string };
  privateKey: KeyObject;
  /** Of the REST API, e.g. `https://github.example/api/v3`. */
  baseUrl: string;
}

export interface GitHubTokens {
  /**
   * A token that is good for some minutes at least. Fails with AuthenticationFailed when GitHub refuses, names no such
   * installation, or cannot be reached.
   */
  tokenOf(app: GitHubApp, connection: GitHubConnection): Promise<string>;
  /** Forgets the token, as the server did not take it. */
  forget(app: GitHubApp): void;
}

export interface GitHubConnection {
  /** Where the app's keys come from, for messages. */
  origin: string;
  tls?: TlsSettings;
  proxy?: ProxySettings;
  signal: AbortSignal;
}

export const gitHubUser = 'x-access-token';
const publicApi = 'https://api.github.com';
const remainingMs = 5 * 60_000;
const maxTokens = 1_000;
const maxAnswerBytes = 4 * 1024 * 1024;
const installationsPerPage = 100;
const maxInstallationPages = 20;

/** True when a Secret holds keys of a GitHub App. */
export function hasGitHubApp(data: Record<string, Uint8Array> | undefined): boolean {
  return Boolean(secretText(data, 'githubAppID')?.trim());
}

/**
 * The app of a Secret's data; `origin` names it. Fails with InvalidProviderConfiguration when a key is missing or both
 * kinds of installation are there, and with AuthenticationFailed for a private key that cannot be read.
 */
export function gitHubAppOf(origin: string, data: Record<string, Uint8Array> | undefined): GitHubApp {
  const value = (key: string): string | undefined => secretText(data, key)?.trim() || undefined;
  const appId = value('githubAppID');
  const id = value('githubAppInstallationID');
  const owner = value('githubAppInstallationOwner');
  const pem = value('githubAppPrivateKey');
  const baseUrl = value('githubAppBaseURL') ?? publicApi;
  if (!appId) throw misconfigured(`${origin} has no key "githubAppID", which spec.provider "github" needs`);
  if (id === undefined && owner === undefined) {
    throw misconfigured(`${origin} has neither "githubAppInstallationID" nor "githubAppInstallationOwner"`);
  }
  if (id !== undefined && owner !== undefined) {
    throw misconfigured(`${origin} has both "githubAppInstallationID" and "githubAppInstallationOwner": keep one`);
  }
  if (!pem) throw misconfigured(`${origin} has no key "githubAppPrivateKey"`);
  for (const [key, number] of Object.entries({ githubAppID: appId, githubAppInstallationID: id ?? '0' })) {
    if (!/^[0-9]{1,20}$/.test(number)) throw misconfigured(`${origin} has a "${key}" that is no number`);
  }
  if (!URL.canParse(baseUrl) || !['http:', 'https:'].includes(new URL(baseUrl).protocol)) {
    throw misconfigured(`${origin} has a "githubAppBaseURL" that is no http(s) URL`);
  }
  const installation = id === undefined ? { owner: owner ?? '' } : { id };
  return { appId, installation, privateKey: readKey(origin, pem), baseUrl: baseUrl.replace(/\/+$/, '') };
}

function readKey(origin: string, pem: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'rsa') return key;
  } catch {
    // said below, without a word of the key
  }
  throw failure('AuthenticationFailed', `${origin} has a "githubAppPrivateKey" that is no RSA private key in PEM`);
}

/** The signed statement (JWT, RS256) that we are the app; good from a minute ago for ten minutes. */
export function appStatement({ appId, privateKey }: GitHubApp, nowMs: number): string {
  const seconds = Math.floor(nowMs / 1000);
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'RS256', typ: 'JWT' })}.${part({ iat: seconds - 60, exp: seconds + 540, iss: appId })}`;
  return `${text}.${sign('sha256', Buffer.from(text), privateKey).toString('base64url')}`;
}

/** Tokens are kept until five minutes before they expire. */
export function createGitHubTokens(now: () => number = Date.now): GitHubTokens {
  const kept = new Map<string, { token: string; expiresMs: number }>();

  return {
    async tokenOf(app, connection) {
      const id = idOf(app);
      const known = kept.get(id);
      if (known && known.expiresMs - now() > remainingMs) return known.token;
      const installation =
        'id' in app.installation ? app.installation.id : await findInstallation(app, connection, now());
      const path = `/app/installations/${installation}/access_tokens`;
      const { token, expires_at: expiresAt } = (await call('POST', path, app, connection, now())) as {
        token?: unknown;
        expires_at?: unknown;
      };
      if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) {
        throw failure('AuthenticationFailed', `the GitHub API at "${app.baseUrl}" answered without a token`);
      }
      const expiresMs = typeof expiresAt === 'string' ? Date.parse(expiresAt) : Number.NaN;
      if (kept.size >= maxTokens) kept.clear();
      if (expiresMs > now()) kept.set(id, { token, expiresMs });
      return token;
    },
    forget: (app) => void kept.delete(idOf(app)),
  };
}

function idOf({ appId, installation, privateKey, baseUrl }: GitHubApp): string {
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  return createHash('sha256')
    .update(JSON.stringify([appId, installation, pem, baseUrl]))
    .digest('hex');
}

async function findInstallation(app: GitHubApp, connection: GitHubConnection, nowMs: number): Promise<string> {
  const owner = 'owner' in app.installation ? app.installation.owner : '';
  for (let page = 1; page <= maxInstallationPages; page++) {
    const path = `/app/installations?per_page=${installationsPerPage}&page=${page}`;
    const list = await call('GET', path, app, connection, nowMs);
    const installations = (Array.isArray(list) ? list : []) as { id?: unknown; account?: { login?: unknown } }[];
    const found = installations.find(({ account }) => String(account?.login).toLowerCase() === owner.toLowerCase());
    if (found && /^[0-9]+$/.test(String(found.id))) return String(found.id);
    if (installations.length < installationsPerPage) break;
  }
  throw failure(
    'AuthenticationFailed',
    `the GitHub App "${app.appId}" is not installed for "${owner}": check "githubAppInstallationOwner" of ${connection.origin}`,
  );
}

async function call(
  method: 'GET' | 'POST',
  path: string,
  app: GitHubApp,
  { origin, tls, proxy, signal }: GitHubConnection,
  nowMs: number,
): Promise<unknown> {
  const operation = `asking the GitHub API at "${app.baseUrl}" for a token`;
  try {
    const { statusCode, body } = await request(app.baseUrl + path, {
      method,
      headers: {
        authorization: `Bearer ${appStatement(app, nowMs)}`,
        accept: 'application/vnd.github+json',
        'user-agent': 'continuo',
        'x-github-api-version': '2022-11-28',
      },
      dispatcher: dispatcherFor({ tls, proxy }),
      headersTimeout: 0,
      bodyTimeout: 0,
      signal,
    });
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    for await (const chunk of body) {
      chunks.push(chunk as Buffer);
      sizeBytes += (chunk as Buffer).length;
      if (sizeBytes > maxAnswerBytes) throw new Error(`the answer is longer than ${maxAnswerBytes} bytes`);
    }
    if (statusCode === 200 || statusCode === 201) return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
    const next =
      statusCode === 401
        ? `check "githubAppID" and "githubAppPrivateKey" of ${origin}, and the clock`
        : statusCode === 404
          ? `check "githubAppInstallationID" and "githubAppBaseURL" of ${origin}`
          : 'it may be out of order, or limit us';
    throw failure('AuthenticationFailed', `${operation} failed (HTTP ${statusCode}): ${next}`);
  } catch (error) {
    if (signal.aborted && (signal.reason as Error).name === 'TimeoutError') {
      throw failure('AuthenticationFailed', `${operation} timed out: the limit is spec.timeout`);
    }
    signal.throwIfAborted();
    if (error instanceof Error && error.name === 'ApplicationFailure') throw error;
    if (error instanceof SyntaxError)
      throw failure('AuthenticationFailed', `${operation} failed: the answer is no JSON`);
    throw remoteFailure(operation, error, 'AuthenticationFailed');
  }
}

function misconfigured(message: string): ReturnType<typeof failure> {
  return failure('InvalidProviderConfiguration', message);
}
