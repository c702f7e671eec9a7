// A token server, as registries name one in their challenge: logs in by user and password or refresh token, and signs
// which access is granted. Everybody may read what is below `public/`.
import { generateKeyPairSync, randomUUID, sign, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, RequestListener } from 'node:http';
import { tlsOptions } from './git.ts';
import { listenOnLoopback } from './loopback.ts';

export interface TokenServer {
  /** Address for the challenge. */
  realm: string;
  service: string;
  issuer: string;
  /** The public key with which tokens are checked. */
  jwks: object;
  /** What may be presented in place of a password. */
  refreshToken: string;
  requests: { method: string; scopes: string[]; authorization: string | undefined }[];
  /** May be changed between requests. */
  faults: { status?: number; body?: string; lifeSeconds?: number };
  close(): Promise<void>;
}

interface TokenServerOptions {
  username: string;
  password: string;
  isTls: boolean;
}

export async function startTokenServer({ username, password, isTls }: TokenServerOptions): Promise<TokenServer> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [service, issuer, kid, refreshToken] = ['test-registry', 'test-issuer', 'test-key', `refresh-${randomUUID()}`];
  const requests: TokenServer['requests'] = [];
  const faults: TokenServer['faults'] = {};
  const basic = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

  function tokenFor(scopes: string[], isKnown: boolean): string {
    const access = scopes.flatMap((scope) => {
      const [type, name = '', actions = ''] = scope.split(':');
      const isPublic = name.startsWith('public/');
      const granted = actions.split(',').filter((action) => isKnown || (isPublic && action === 'pull'));
      return granted.length > 0 ? [{ type, name, actions: granted }] : [];
    });
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: issuer, sub: username, aud: service, jti: randomUUID(), access };
    const body = { ...claims, iat: now - 5, nbf: now - 5, exp: now + (faults.lifeSeconds ?? 300) };
    const signed = [{ alg: 'ES256', typ: 'JWT', kid }, body]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return `${signed}.${signature.toString('base64url')}`;
  }

  async function textOf(incoming: IncomingMessage): Promise<string> {
    const parts: Buffer[] = [];
    for await (const part of incoming) parts.push(part as Buffer);
    return Buffer.concat(parts).toString('utf8');
  }

  const listener: RequestListener = (incoming, response) => {
    void textOf(incoming).then((text) => {
      const { method = 'GET', headers } = incoming;
      const query = new URL(incoming.url ?? '/', 'http://token').searchParams;
      const parameters = method === 'POST' ? new URLSearchParams(text) : query;
      const scopes = parameters.getAll('scope').flatMap((scope) => scope.split(' '));
      requests.push({ method, scopes, authorization: headers.authorization });
      const presented = method === 'POST' ? (parameters.get('refresh_token') ?? '') : headers.authorization;
      const isKnown = presented !== undefined && isSame(presented, method === 'POST' ? refreshToken : basic);
      if (faults.status || (presented !== undefined && !isKnown)) {
        response.writeHead(faults.status ?? 401).end('{"errors":[{"code":"UNAUTHORIZED"}]}');
        return;
      }
      const answer = { [method === 'POST' ? 'access_token' : 'token']: tokenFor(scopes, isKnown), expires_in: 300 };
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(faults.body ?? JSON.stringify({ ...answer, expires_in: faults.lifeSeconds ?? 300 }));
    });
  };

  const server = await listenOnLoopback(listener, tlsOptions(isTls ? 'server' : undefined));
  return {
    realm: `${server.url}/token`,
    service,
    issuer,
    jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' }] },
    refreshToken,
    requests,
    faults,
    close: server.close,
  };
}

function isSame(presented: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(presented), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}
