// Registries, storages and Git servers of the clouds under their own names, with TLS: a server that asks for the login of the cloud
// whose host it is called by, and passes on what is allowed to another server. A forward proxy leads there.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type IncomingMessage, request as httpRequest, type RequestListener, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { startHttpProxy, type TestProxy } from './http-proxy.ts';
import { listenOnLoopback } from './loopback.ts';
import type { TestClouds } from './cloud-login.ts';
import { awsSignature } from './sigv4.ts';

export const cloudHosts = {
  ecr: '123456789012.dkr.ecr.eu-west-1.amazonaws.com',
  ecrPublic: 'public.ecr.aws',
  google: 'europe-docker.pkg.dev',
  azure: 'team.azurecr.io',
  codeCommit: 'git-codecommit.eu-west-1.amazonaws.com',
  devOps: 'dev.azure.com',
  gcs: 'storage.googleapis.com',
  blob: 'account1.blob.core.windows.net',
} as const;

/** For spec.certSecretRef and spec.secretRef. */
export const cloudCa = readFileSync(join(import.meta.dirname, 'tls/clouds-ca.crt'), 'utf8');

export interface CloudFront {
  proxy: TestProxy;
  /** `<status> <host> <method> <path>` in order. */
  requests: string[];
  /** `https://127.0.0.1:<port>`, for what is no test of names. */
  url: string;
  close(): Promise<void>;
}

const basicOf = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
/** What `cloud-storage.ts` takes. */
const innerLogins: Record<string, string> = {
  [cloudHosts.gcs]: 'Bearer token-of-google',
  [cloudHosts.blob]: 'Bearer token-of-entra',
};
const devOpsResource = '499b84ac-1321-427f-aa17-267ca6975798';

/** `targets`: host → where what is allowed goes, `http://…`. */
export async function startCloudFront(clouds: TestClouds, targets: Record<string, string>): Promise<CloudFront> {
  const requests: string[] = [];
  const exp = Math.floor(Date.now() / 1000) + 3600;
  /** One for each token of Entra ID. */
  const jwtOf = (use: string): string => {
    const claims = Buffer.from(JSON.stringify({ use, of: clouds.issued.azure, exp }));
    return `e30.${claims.toString('base64url')}.e30`;
  };

  /** CodeCommit's password is the signature of host and path. */
  function isCodeCommit(authorization: string, path: string): boolean {
    const [user = '', password = ''] = Buffer.from(authorization.replace('Basic ', ''), 'base64').toString().split(':');
    const [id = '', session] = user.split('%');
    const key = clouds.keys[id];
    if (!key || key.sessionToken !== session) return false;
    const repository = path.replace(/\/(info\/refs|git-upload-pack).*$/, '');
    const [time = '', signature] = password.split('Z');
    const canonical = createHash('sha256').update(`GIT\n${repository}\n\nhost:${cloudHosts.codeCommit}\n\nhost\n`);
    const scope = `${time.slice(0, 8)}/eu-west-1/codecommit/aws4_request`;
    const text = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${canonical.digest('hex')}`;
    return signature === awsSignature(key.secretAccessKey, scope, text);
  }

  /** The challenge for who is not let in; undefined for who is. */
  function challengeFor(host: string, authorization: string, path: string): string | undefined {
    const { issued } = clouds;
    const basic = 'Basic realm="cloud"';
    switch (host) {
      case cloudHosts.ecr:
      case cloudHosts.ecrPublic:
        return authorization === basicOf('AWS', issued.ecr) ? undefined : basic;
      case cloudHosts.google:
        return authorization === basicOf('oauth2accesstoken', issued.google) ? undefined : basic;
      case cloudHosts.azure:
        return authorization === `Bearer ${jwtOf('access')}`
          ? undefined
          : `Bearer realm="https://${host}/oauth2/token",service="${host}",scope="repository:team/web:pull"`;
      case cloudHosts.codeCommit:
        return isCodeCommit(authorization, path) ? undefined : basic;
      case cloudHosts.gcs:
        return authorization === `Bearer ${issued.google}` ? undefined : 'Bearer';
      case cloudHosts.blob:
        return authorization === `Bearer ${issued.azure}.https://storage.azure.com` ? undefined : 'Bearer';
      default:
        return authorization === `Bearer ${issued.azure}.${devOpsResource}` ? undefined : 'Bearer';
    }
  }

  /** What ACR answers beside the registry itself. */
  function azureToken(path: string, form: URLSearchParams): { status: number; body: string } {
    const isService = form.get('service') === cloudHosts.azure;
    const wanted = `${clouds.issued.azure}.https://management.azure.com`;
    if (path === '/oauth2/exchange' && isService && form.get('access_token') === wanted) {
      return { status: 200, body: JSON.stringify({ refresh_token: jwtOf('refresh') }) };
    }
    if (path === '/oauth2/token' && isService && form.get('refresh_token') === jwtOf('refresh')) {
      return { status: 200, body: JSON.stringify({ access_token: jwtOf('access') }) };
    }
    return { status: 401, body: '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}' };
  }

  function answer(incoming: IncomingMessage, body: Buffer, response: ServerResponse): void {
    const { url = '/', method = 'GET', headers } = incoming;
    const host = headers.host ?? '';
    const path = url.split('?')[0] ?? '';
    const note = (status: number): void => void requests.push(`${status} ${host} ${method} ${path}`);
    if (path.startsWith('/oauth2/')) {
      const { status, body: text } = azureToken(path, new URLSearchParams(body.toString()));
      note(status);
      response.writeHead(status).end(text);
      return;
    }
    const challenge = challengeFor(host, headers.authorization ?? '', path);
    if (challenge !== undefined) {
      note(401);
      response.writeHead(401, { 'www-authenticate': challenge }).end('{}');
      return;
    }
    const { authorization: _, ...others } = headers;
    // What stands behind has passwords of its own, if any.
    const inner = innerLogins[host] ? { authorization: innerLogins[host] } : {};
    const onward = httpRequest(`${targets[host]}${url}`, { method, headers: { ...others, ...inner } }, (found) => {
      note(found.statusCode ?? 0);
      response.writeHead(found.statusCode ?? 502, found.headers);
      found.pipe(response);
    });
    onward.on('error', () => response.destroy());
    onward.end(body);
  }

  const pem = (name: string): Buffer => readFileSync(join(import.meta.dirname, 'tls', name));
  const listener: RequestListener = (incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => answer(incoming, Buffer.concat(chunks), response));
  };
  const server = await listenOnLoopback(listener, { cert: pem('clouds.crt'), key: pem('clouds.key') });
  const proxy = await startHttpProxy(
    undefined,
    Object.fromEntries(Object.values(cloudHosts).map((host) => [`${host}:443`, server.host])),
  );
  return {
    proxy,
    requests,
    url: server.url,
    async close() {
      await proxy.close();
      await server.close();
    },
  };
}
