// Credentials of AWS: the worker's own, those of a service account's role, or those that a storage's own token service
// gives (contract 1.5, spec.sts).
import { readFile } from 'node:fs/promises';
import type { Dispatcher } from 'undici';
import type { S3Credentials } from '../../s3-client.ts';
import { childOf, parseXml, textOf, type XmlElement } from '../../xml.ts';
import { formBody, requestJson, requestText } from '../http/bounded-request.ts';
import { dispatcherFor } from '../http/dispatcher.ts';
import { awsEndpoint } from './aws-service.ts';
import { annotationOf, type CloudAccount, type Environment } from './cloud-identity.ts';

/** Credentials that end. */
export interface TemporaryCredentials extends S3Credentials {
  expiresMs?: number;
}

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

/** How AWS is asked. */
export interface AwsAccess {
  env: Environment;
  /** Of the token service. @default AWS_REGION, and then 'us-east-1' */
  region: string | undefined;
  /** @default that of AWS in the region */
  stsEndpoint?: string | undefined;
  /** For the token service; metadata servers are asked directly. */
  dispatcher: Dispatcher;
}

/** Metadata servers are near, or not there at all. */
const metadataTimeoutMs = 3_000;

/**
 * The worker's own credentials: environment, web identity (EKS), container (EKS pod identity, ECS), instance (EC2). Fails
 * with an `Error` when there are none.
 */
export async function ambientAwsCredentials(aws: AwsAccess, signal: AbortSignal): Promise<TemporaryCredentials> {
  const { env } = aws;
  const accessKeyId = env['AWS_ACCESS_KEY_ID'];
  const secretAccessKey = env['AWS_SECRET_ACCESS_KEY'];
  if (accessKeyId && secretAccessKey) {
    const sessionToken = env['AWS_SESSION_TOKEN'];
    return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
  }
  const roleArn = env['AWS_ROLE_ARN'];
  const tokenFile = env['AWS_WEB_IDENTITY_TOKEN_FILE'];
  if (roleArn && tokenFile) {
    const token = (await readFile(tokenFile, 'utf8')).trim();
    const sessionName = env['AWS_ROLE_SESSION_NAME'] ?? 'continuo';
    return await assumeRole(aws, { roleArn, sessionName, token }, signal);
  }
  const soon = AbortSignal.any([signal, AbortSignal.timeout(metadataTimeoutMs)]);
  const relative = env['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'];
  const container = relative ? `http://169.254.170.2${relative}` : env['AWS_CONTAINER_CREDENTIALS_FULL_URI'];
  if (container) return await credentialsOfContainer(env, container, soon);
  if (env['AWS_EC2_METADATA_DISABLED'] === 'true') throw new Error('the worker has no AWS credentials of its own');
  return await credentialsOfInstance(env, soon);
}

const roleAnnotation = 'eks.amazonaws.com/role-arn';
const rolePattern = /^arn:aws[a-z-]*:iam::[0-9]{1,30}:role\/.{1,200}$/;
const maxSessionNameCharacters = 64;

/** The role that a service account names by annotation. Fails with AuthenticationFailed. */
export function roleOf(account: CloudAccount): string {
  return annotationOf(account, roleAnnotation, rolePattern, 'arn:aws:iam::<account>:role/<name>');
}

/** The credentials of the role that a service account may take (IRSA, for the account of an object). */
export async function awsCredentialsOfAccount(
  account: CloudAccount,
  aws: AwsAccess,
  signal: AbortSignal,
): Promise<TemporaryCredentials> {
  const roleArn = roleOf(account);
  const token = await account.token('sts.amazonaws.com', signal);
  const { namespace, name } = account;
  const sessionName = `${name}.${namespace}.${regionOf(aws)}.fluxcd.io`.slice(0, maxSessionNameCharacters);
  return await assumeRole(aws, { roleArn, sessionName, token }, signal);
}

function regionOf({ region, env }: AwsAccess): string {
  return region || env['AWS_REGION'] || 'us-east-1';
}

async function assumeRole(
  aws: AwsAccess,
  { roleArn, sessionName, token }: { roleArn: string; sessionName: string; token: string },
  signal: AbortSignal,
): Promise<TemporaryCredentials> {
  const call = formBody({
    Action: 'AssumeRoleWithWebIdentity',
    Version: apiVersion,
    RoleArn: roleArn,
    RoleSessionName: sessionName,
    WebIdentityToken: token,
  });
  const region = regionOf(aws);
  const endpoint = aws.stsEndpoint ?? awsEndpoint('STS', `sts.${region}`, region, aws.env);
  return credentialsInXml(await requestText(endpoint, call, aws.dispatcher, signal));
}

async function credentialsOfContainer(
  env: Environment,
  address: string,
  signal: AbortSignal,
): Promise<TemporaryCredentials> {
  const file = env['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'];
  const token = file ? (await readFile(file, 'utf8')).trim() : env['AWS_CONTAINER_AUTHORIZATION_TOKEN'];
  const headers: Record<string, string> = token ? { authorization: token } : {};
  return credentialsInJson(await requestJson(address, { headers }, dispatcherFor({}), signal));
}

async function credentialsOfInstance(env: Environment, signal: AbortSignal): Promise<TemporaryCredentials> {
  const base = (env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] ?? 'http://169.254.169.254').replace(/\/+$/, '');
  const dispatcher = dispatcherFor({});
  try {
    const ttl = { 'x-aws-ec2-metadata-token-ttl-seconds': '300' };
    const token = await requestText(`${base}/latest/api/token`, { method: 'PUT', headers: ttl }, dispatcher, signal);
    const headers = { 'x-aws-ec2-metadata-token': token };
    const roles = `${base}/latest/meta-data/iam/security-credentials/`;
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
