// The part of GitHub's REST API that turns the statement of an app into a token; checks the statement's signature.
import { createVerify, type KeyObject } from 'node:crypto';
import { listenOnLoopback } from './loopback.ts';

export interface TestGitHubApi {
  /** Of the API, with a path as GitHub Enterprise has one. */
  url: string;
  /** `POST /api/v3/app/installations/7/access_tokens`, in order. */
  requests: string[];
  /** Tokens that were given out, oldest first. */
  tokens: string[];
  settings: { lifetimeMs: number; status?: number; answer?: string; delayMs?: number };
  close(): Promise<void>;
}

/** Knows the app 42 with the installation 7 of the account `acme`, on the second page of its installations. */
export async function startGitHubApi(publicKey: KeyObject): Promise<TestGitHubApi> {
  const requests: string[] = [];
  const tokens: string[] = [];
  const settings: TestGitHubApi['settings'] = { lifetimeMs: 3_600_000 };

  function isFromApp(authorization: string | undefined): boolean {
    const [head = '', claims = '', signature = ''] = (authorization ?? '').replace(/^Bearer /, '').split('.');
    const verify = createVerify('sha256').update(`${head}.${claims}`);
    if (!verify.verify(publicKey, Buffer.from(signature, 'base64url'))) return false;
    const { iss, iat, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>;
    const now = Date.now() / 1000;
    return iss === '42' && Number(iat) <= now && Number(exp) > now && Number(exp) - Number(iat) <= 600;
  }

  const server = await listenOnLoopback((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    const send = (status: number, body: unknown): void => {
      const text = settings.answer ?? JSON.stringify(body);
      setTimeout(() => response.writeHead(status, { 'content-type': 'application/json' }).end(text), settings.delayMs);
    };
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://api.test');
    if (settings.status !== undefined) send(settings.status, {});
    else if (!isFromApp(request.headers.authorization)) send(401, { message: 'A JSON web token could not be decoded' });
    else if (request.method === 'POST' && pathname === '/api/v3/app/installations/7/access_tokens') {
      tokens.push(`ghs_token${tokens.length + 1}`);
      send(201, { token: tokens.at(-1), expires_at: new Date(Date.now() + settings.lifetimeMs).toISOString() });
    } else if (request.method === 'GET' && pathname === '/api/v3/app/installations') {
      const others = Array.from({ length: 100 }, (_, index) => ({
        id: 100 + index,
        account: { login: `other-${index}` },
      }));
      send(200, searchParams.get('page') === '1' ? others : [{ id: 7, account: { login: 'Acme' } }]);
    } else send(404, { message: 'Not Found' });
  });
  return {
    url: `${server.url}/api/v3`,
    requests,
    tokens,
    settings,
    close: server.close,
  };
}
