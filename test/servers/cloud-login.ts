// The token and metadata services of AWS, Google and Azure on one port, as far as a login asks for them. Each checks what
// it is shown with its own reading of the protocol, and the environment leads there by the variables that the clouds'
// own libraries read.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listenOnLoopback } from './loopback.ts';
import type { AccountDeps } from '../../activities/source/cloud/cloud-identity.ts';
import { type AwsKeys, signatureProblem } from './sigv4.ts';

/** Who stands behind a token of a service account for an audience, such as `system:serviceaccount:apps:puller`. */
export type TokenCheck = (token: string, audience: string) => Promise<string | undefined>;

export interface TestClouds {
  url: string;
  /** `<method> <path> <what>` in order. */
  requests: string[];
  /** Keys that AWS knows; what the token services give is added. */
  keys: AwsKeys;
  /** What AWS gives in place of new keys: those of a storage. */
  givenKey?: { id: string; secret: string };
  /** Roles and applications → who may take them. */
  trusted: Record<string, string>;
  /** Path → fault; may be changed between requests. */
  faults: Record<string, { delayMs?: number; status?: number; body?: string }>;
  /** Life of what is given from now on. */
  lifeSeconds: number;
  /** What the registries and repositories of the clouds take. */
  issued: { ecr: string; google: string; azure: string };
  /** A file with a token for workload identity of the worker. */
  tokenFile: string;
  close(): Promise<void>;
}

interface Answer {
  status: number;
  body?: string;
}

const region = 'eu-west-1';
/** The token in `tokenFile`. */
const workerToken = 'token-of-the-worker';

export async function startTestClouds(check: TokenCheck = async () => undefined): Promise<TestClouds> {
  const directory = mkdtempSync(join(tmpdir(), 'continuo-cloud-login-'));
  const tokenFile = join(directory, 'token');
  writeFileSync(tokenFile, `${workerToken}\n`);
  const clouds: Omit<TestClouds, 'url' | 'close'> = {
    requests: [],
    keys: {},
    trusted: {},
    faults: {},
    lifeSeconds: 3600,
    issued: { ecr: 'password-of-ecr', google: 'token-of-google', azure: 'token-of-entra' },
    tokenFile,
  };
  const whoIs: TokenCheck = async (token, audience) =>
    token === workerToken ? 'the worker' : await check(token, audience);

  function newKey(name: string): { id: string; secret: string; session: string; expires: string } {
    const id = `ASIA${name.toUpperCase()}${Object.keys(clouds.keys).length}`;
    const [secret, session] = [`secret/of+${id}`, `session/of+${id}==`];
    clouds.keys[id] = { secretAccessKey: secret, sessionToken: session };
    return { id, secret, session, expires: new Date(Date.now() + clouds.lifeSeconds * 1000).toISOString() };
  }

  function keyAsJson(name: string): Answer {
    const { id, secret, session, expires } = newKey(name);
    const key = { AccessKeyId: id, SecretAccessKey: secret, Token: session, Expiration: expires };
    return { status: 200, body: JSON.stringify(key) };
  }

  function instance({ method, headers }: IncomingMessage, path: string): Answer {
    if (path === '/imds/latest/api/token') {
      return method === 'PUT' && headers['x-aws-ec2-metadata-token-ttl-seconds']
        ? { status: 200, body: 'token-of-imds' }
        : { status: 400 };
    }
    if (headers['x-aws-ec2-metadata-token'] !== 'token-of-imds') return { status: 401 };
    const roles = '/imds/latest/meta-data/iam/security-credentials/';
    if (path === roles) return { status: 200, body: 'role-of-node' };
    return path === `${roles}role-of-node` ? keyAsJson('node') : { status: 404 };
  }

  async function sts(form: URLSearchParams): Promise<Answer> {
    const who = await whoIs(form.get('WebIdentityToken') ?? '', 'sts.amazonaws.com');
    const role = form.get('RoleArn') ?? '';
    const isRight =
      form.get('Action') === 'AssumeRoleWithWebIdentity' && who !== undefined && clouds.trusted[role] === who;
    if (!isRight) {
      const message = 'Not authorized to perform sts:AssumeRoleWithWebIdentity';
      const error = `<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>${message}</Message></Error>`;
      return { status: 403, body: `<ErrorResponse>${error}</ErrorResponse>` };
    }
    const { id, secret, session, expires } = newKey('role');
    const given = clouds.givenKey;
    if (given) {
      const only = `<AccessKeyId>${given.id}</AccessKeyId><SecretAccessKey>${given.secret}</SecretAccessKey>`;
      return {
        status: 200,
        body: `<AssumeRoleWithWebIdentityResponse><Credentials>${only}</Credentials></AssumeRoleWithWebIdentityResponse>`,
      };
    }
    const key = `<AccessKeyId>${id}</AccessKeyId><SecretAccessKey>${secret}</SecretAccessKey>`;
    const rest = `<SessionToken>${session}</SessionToken><Expiration>${expires}</Expiration>`;
    const result = `<AssumeRoleWithWebIdentityResult><Credentials>${key}${rest}</Credentials></AssumeRoleWithWebIdentityResult>`;
    return { status: 200, body: `<AssumeRoleWithWebIdentityResponse>${result}</AssumeRoleWithWebIdentityResponse>` };
  }

  function ecr(incoming: IncomingMessage, body: string, isPublic: boolean): Answer {
    const service = isPublic ? 'ecr-public' : 'ecr';
    const problem = signatureProblem(incoming, body, {
      keys: clouds.keys,
      service,
      region: isPublic ? 'us-east-1' : region,
    });
    if (problem)
      return { status: 400, body: JSON.stringify({ __type: 'UnrecognizedClientException', message: problem }) };
    const wanted = isPublic ? 'SpencerFrontendService' : 'AmazonEC2ContainerRegistry_V20150921';
    if (incoming.headers['x-amz-target'] !== `${wanted}.GetAuthorizationToken`) return { status: 400 };
    const authorizationToken = Buffer.from(`AWS:${clouds.issued.ecr}`).toString('base64');
    const data = { authorizationToken, expiresAt: Date.now() / 1000 + clouds.lifeSeconds };
    return { status: 200, body: JSON.stringify({ authorizationData: isPublic ? data : [data] }) };
  }

  function googleMetadata({ headers }: IncomingMessage, path: string): Answer {
    if (headers['metadata-flavor'] !== 'Google') return { status: 403 };
    const values: Record<string, string> = {
      'project/project-id': 'my-project',
      'instance/attributes/cluster-location': 'europe-west1',
      'instance/attributes/cluster-name': 'my-cluster',
      'instance/service-accounts/default/token': JSON.stringify({
        access_token: clouds.issued.google,
        expires_in: clouds.lifeSeconds,
      }),
    };
    const value = values[path.slice('/computeMetadata/v1/'.length)];
    return value === undefined ? { status: 404 } : { status: 200, body: value };
  }

  /** On GKE the token is for the pool, and the exchange names the cluster as well. */
  async function googleExchange(form: URLSearchParams): Promise<Answer> {
    const audience = form.get('audience') ?? '';
    const pool = 'my-project.svc.id.goog';
    const cluster =
      'https://container.googleapis.com/v1/projects/my-project/locations/europe-west1/clusters/my-cluster';
    const tokenAudience = audience === `identitynamespace:${pool}:${cluster}` ? pool : audience;
    const who = await whoIs(form.get('subject_token') ?? '', tokenAudience);
    const isRight =
      form.get('grant_type') === 'urn:ietf:params:oauth:grant-type:token-exchange' &&
      form.get('subject_token_type') === 'urn:ietf:params:oauth:token-type:jwt' &&
      who !== undefined &&
      clouds.trusted[audience] === who;
    if (!isRight) {
      return { status: 400, body: '{"error":"invalid_grant","error_description":"The audience is not trusted."}' };
    }
    return {
      status: 200,
      body: JSON.stringify({ access_token: `federated ${audience}`.replaceAll(' ', '-'), expires_in: 3600 }),
    };
  }

  function googleImpersonation({ headers }: IncomingMessage, path: string): Answer {
    const email = /serviceAccounts\/([^:]+):generateAccessToken$/.exec(path)?.[1] ?? '';
    const audience = (headers.authorization ?? '').replace('Bearer federated-', '');
    if (clouds.trusted[email] !== audience || audience === '') {
      const error = { status: 'PERMISSION_DENIED', message: "Permission 'iam.serviceAccounts.getAccessToken' denied" };
      return { status: 403, body: JSON.stringify({ error }) };
    }
    const expireTime = new Date(Date.now() + clouds.lifeSeconds * 1000).toISOString();
    return { status: 200, body: JSON.stringify({ accessToken: clouds.issued.google, expireTime }) };
  }

  function managedIdentity({ headers }: IncomingMessage, query: URLSearchParams, isOfService: boolean): Answer {
    const isRight = isOfService ? headers['x-identity-header'] === 'header-of-service' : headers.metadata === 'true';
    if (!isRight || !query.get('resource')) {
      return { status: 400, body: '{"error":"invalid_request","error_description":"Identity not found"}' };
    }
    const end = String(Math.floor(Date.now() / 1000) + clouds.lifeSeconds);
    return {
      status: 200,
      body: JSON.stringify({ access_token: azureTokenFor(query.get('resource')), expires_on: end }),
    };
  }

  async function entra(form: URLSearchParams): Promise<Answer> {
    const who = await whoIs(form.get('client_assertion') ?? '', 'api://AzureADTokenExchange');
    const isSecret = form.get('client_secret') === 'secret-of-the-client';
    const isAsserted = who !== undefined && clouds.trusted[form.get('client_id') ?? ''] === who;
    if (!isSecret && !isAsserted) {
      return {
        status: 401,
        body: '{"error":"invalid_client","error_description":"AADSTS70021: no matching federated identity"}',
      };
    }
    const resource = (form.get('scope') ?? '').replace(/\/\.default$/, '');
    return {
      status: 200,
      body: JSON.stringify({ access_token: azureTokenFor(resource), expires_in: clouds.lifeSeconds }),
    };
  }

  /** A token says what it is for. */
  function azureTokenFor(resource: string | null): string {
    return `${clouds.issued.azure}.${resource}`;
  }

  async function answerTo(incoming: IncomingMessage, body: string): Promise<Answer> {
    const { pathname: path, searchParams } = new URL(incoming.url ?? '/', 'http://server');
    const form = new URLSearchParams(body);
    const what = form.get('RoleSessionName') ?? form.get('scope') ?? searchParams.get('resource') ?? '';
    clouds.requests.push(`${incoming.method} ${path} ${what}`.trimEnd());
    const fault = clouds.faults[path];
    if (fault?.delayMs) await new Promise((resolve) => setTimeout(resolve, fault.delayMs));
    if (fault?.status) return { status: fault.status, body: fault.body };
    if (path.startsWith('/imds/')) return instance(incoming, path);
    if (path === '/container') {
      return incoming.headers.authorization === workerToken ? keyAsJson('pod') : { status: 401 };
    }
    if (path === '/sts/' || path === '/sts') return await sts(form);
    if (path === '/ecr/') return ecr(incoming, body, false);
    if (path === '/ecr-public/') return ecr(incoming, body, true);
    if (path.startsWith('/computeMetadata/v1/')) return googleMetadata(incoming, path);
    if (path === '/google-sts/v1/token') return await googleExchange(form);
    if (path.startsWith('/google-iam/v1/')) return googleImpersonation(incoming, path);
    if (path === '/metadata/identity/oauth2/token') return managedIdentity(incoming, searchParams, false);
    if (path === '/identity') return managedIdentity(incoming, searchParams, true);
    if (path === '/tenant-1/oauth2/v2.0/token') return await entra(form);
    return { status: 404 };
  }

  const server = await listenOnLoopback((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      void answerTo(incoming, Buffer.concat(chunks).toString()).then(({ status, body }) =>
        response.writeHead(status).end(body),
      );
    });
  });
  return Object.assign(clouds, {
    url: server.url,
    async close() {
      await server.close();
      rmSync(directory, { recursive: true, force: true });
    },
  });
}

/** The environment that leads to the services; who logs in by which way is for the test to add. */
export function cloudEnvironment({ url }: Pick<TestClouds, 'url'>): Record<string, string> {
  return {
    AWS_ENDPOINT_URL_STS: `${url}/sts`,
    AWS_ENDPOINT_URL_ECR: `${url}/ecr`,
    AWS_ENDPOINT_URL_ECR_PUBLIC: `${url}/ecr-public`,
    AWS_EC2_METADATA_SERVICE_ENDPOINT: `${url}/imds/`,
    GCE_METADATA_HOST: url.slice('http://'.length),
    CLOUDSDK_API_ENDPOINT_OVERRIDES_STS: `${url}/google-sts/`,
    CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS: `${url}/google-iam/`,
    AZURE_AUTHORITY_HOST: `${url}/`,
    AZURE_POD_IDENTITY_AUTHORITY_HOST: url,
  };
}

/** Checks the tokens of `testAccounts`. */
export const checkTestToken: TokenCheck = async (token, audience) => {
  const [who, wanted] = token.split(' for ');
  return wanted === audience ? who : undefined;
};

/** Service accounts without an API server, by `<namespace>/<name>`: a token is `<namespace>:<name> for <audience>`. */
export function testAccounts(annotations: Record<string, Record<string, string>>): AccountDeps {
  return {
    readAnnotations: async (namespace, name) => annotations[`${namespace}/${name}`],
    requestToken: async ({ namespace, name }, { audiences }) => ({
      token: `${namespace}:${name} for ${audiences.join()}`,
    }),
    defaultServiceAccount: '',
  };
}
