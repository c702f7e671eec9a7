// Credentials for S3: from a Secret, from a token service (spec.sts), or the worker's own (contract 1.5).
import { readFile } from 'node:fs/promises';
import type { Dispatcher } from 'undici';
import type { S3Credentials } from '../../s3-client.ts';
import { childOf, parseXml, textOf, type XmlElement } from '../../xml.ts';
import { formBody, requestJson, requestText } from './storage-request.ts';

/** Credentials that end. */
export interface TemporaryCredentials extends S3Credentials {
  expiresMs?: number;
}

export type Environment = Readonly<Record<string, string | undefined>>;

const apiVersion = '2011-06-15';

/** Credentials of a storage's own token service for a user of its directory. */
export async function credentialsFromLdap(
  endpoint: string,
  user: { username: string; password: string },
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<TemporaryCredentials> {
  const call = formBody({
    Action: 'AssumeRoleWithLDAPIdentity',
    Version: apiVersion,
    LDAPUsername: user.username,
    LDAPPassword: user.password,
  });
  return credentialsInXml(await requestText(endpoint, call, dispatcher, signal));
}

export interface AmbientAws {
  env: Environment;
  region: string | undefined;
  /** @default that of AWS in the region */
  stsEndpoint?: string;
  dispatcher: Dispatcher;
}

/**
 * The worker's own credentials: environment, web identity (EKS), container (EKS pod identity, ECS), instance (EC2). Fails
 * with an `Error` when there are none.
 */
export async function ambientAwsCredentials(aws: AmbientAws, signal: AbortSignal): Promise<TemporaryCredentials> {
  const { env, dispatcher } = aws;
  const accessKeyId = env['AWS_ACCESS_KEY_ID'];
  const secretAccessKey = env['AWS_SECRET_ACCESS_KEY'];
  if (accessKeyId && secretAccessKey) {
    const sessionToken = env['AWS_SESSION_TOKEN'];
    return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
  }
  const roleArn = env['AWS_ROLE_ARN'];
  const tokenFile = env['AWS_WEB_IDENTITY_TOKEN_FILE'];
  if (roleArn && tokenFile) return await credentialsFromWebIdentity(aws, roleArn, tokenFile, signal);
  const relative = env['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'];
  const container = relative ? `http://169.254.170.2${relative}` : env['AWS_CONTAINER_CREDENTIALS_FULL_URI'];
  if (container) {
    const file = env['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'];
    const token = file ? (await readFile(file, 'utf8')).trim() : env['AWS_CONTAINER_AUTHORIZATION_TOKEN'];
    const headers: Record<string, string> = token ? { authorization: token } : {};
    return credentialsInJson(await requestJson(container, { headers }, dispatcher, signal));
  }
  if (env['AWS_EC2_METADATA_DISABLED'] === 'true') throw new Error('the worker has no AWS credentials of its own');
  return await credentialsOfInstance(aws, AbortSignal.any([signal, AbortSignal.timeout(3_000)]));
}

async function credentialsFromWebIdentity(
  { env, region, stsEndpoint, dispatcher }: AmbientAws,
  roleArn: string,
  tokenFile: string,
  signal: AbortSignal,
): Promise<TemporaryCredentials> {
  const call = formBody({
    Action: 'AssumeRoleWithWebIdentity',
    Version: apiVersion,
    RoleArn: roleArn,
    RoleSessionName: env['AWS_ROLE_SESSION_NAME'] ?? 'continuo',
    WebIdentityToken: (await readFile(tokenFile, 'utf8')).trim(),
  });
  const home = region || env['AWS_REGION'] || 'us-east-1';
  return credentialsInXml(
    await requestText(stsEndpoint ?? `https://sts.${home}.amazonaws.com`, call, dispatcher, signal),
  );
}

async function credentialsOfInstance(
  { env, dispatcher }: AmbientAws,
  signal: AbortSignal,
): Promise<TemporaryCredentials> {
  const base = `${env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] ?? 'http://169.254.169.254'}/latest`.replace(
    '//latest',
    '/latest',
  );
  try {
    const ttl = { 'x-aws-ec2-metadata-token-ttl-seconds': '300' };
    const token = await requestText(`${base}/api/token`, { method: 'PUT', headers: ttl }, dispatcher, signal);
    const headers = { 'x-aws-ec2-metadata-token': token };
    const roles = `${base}/meta-data/iam/security-credentials/`;
    const [role = ''] = (await requestText(roles, { headers }, dispatcher, signal)).trim().split('\n');
    return credentialsInJson(await requestJson(roles + encodeURIComponent(role), { headers }, dispatcher, signal));
  } catch (error) {
    throw new Error('the worker has no AWS credentials of its own, and no instance role could be asked for', {
      cause: error,
    });
  }
}

function credentialsInJson(json: Record<string, unknown>): TemporaryCredentials {
  return checked(json['AccessKeyId'], json['SecretAccessKey'], json['Token'], json['Expiration']);
}

function credentialsInXml(text: string): TemporaryCredentials {
  const found = findElement(parseXml(text), 'Credentials');
  const valueOf = (name: string): string | undefined => textOf(found, name);
  return checked(valueOf('AccessKeyId'), valueOf('SecretAccessKey'), valueOf('SessionToken'), valueOf('Expiration'));
}

function findElement(root: XmlElement, name: string): XmlElement | undefined {
  const direct = root.name === name ? root : childOf(root, name);
  if (direct) return direct;
  for (const child of root.children) {
    const found = findElement(child, name);
    if (found) return found;
  }
  return undefined;
}

function checked(id: unknown, secret: unknown, token: unknown, expiration: unknown): TemporaryCredentials {
  if (typeof id !== 'string' || typeof secret !== 'string' || id === '' || secret === '') {
    throw new Error('the token service answered without credentials');
  }
  const expiresMs = typeof expiration === 'string' ? Date.parse(expiration) : Number.NaN;
  return {
    accessKeyId: id,
    secretAccessKey: secret,
    ...(typeof token === 'string' && token ? { sessionToken: token } : {}),
    ...(Number.isNaN(expiresMs) ? {} : { expiresMs }),
  };
}
