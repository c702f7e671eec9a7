// Passwords for Amazon's registries, ECR (contract 1.2, provider aws).
import type { Dispatcher } from 'undici';
import type { S3Credentials } from '../../s3-client.ts';
import { awsEndpoint, callAws } from './aws-service.ts';
import type { Environment } from './cloud-identity.ts';

/** A registry of ECR. */
export interface AwsRegistry {
  region: string;
  /** `public.ecr.aws`, whose API is another one and in one region only. */
  isPublic: boolean;
  isFips: boolean;
}

const publicHost = 'public.ecr.aws';
const privateHost =
  /^[0-9]{12}\.dkr[.-]ecr(-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws|on\.amazonwebservices\.com\.cn)$/;

/** What a host's name says of a registry of ECR; undefined for any other host. */
export function awsRegistryOf(host: string): AwsRegistry | undefined {
  if (host === publicHost) return { region: 'us-east-1', isPublic: true, isFips: false };
  const [, fips, region] = privateHost.exec(host) ?? [];
  return region === undefined ? undefined : { region, isPublic: false, isFips: fips !== undefined };
}

/** User and password, and when they end. */
export interface RegistryPassword {
  username: string;
  password: string;
  expiresMs: number;
}

/** Fails with HttpRefusal, the network's error, or an `Error` for an answer that cannot be read. */
export async function awsRegistryPassword(
  { region, isPublic, isFips }: AwsRegistry,
  credentials: S3Credentials,
  { env, dispatcher }: { env: Environment; dispatcher: Dispatcher },
  signal: AbortSignal,
): Promise<RegistryPassword> {
  const host = isPublic ? `api.ecr-public.${region}` : isFips ? `ecr-fips.${region}` : `api.ecr.${region}`;
  const answer = await callAws(
    {
      endpoint: awsEndpoint(isPublic ? 'ECR_PUBLIC' : 'ECR', host, region, env),
      region,
      service: isPublic ? 'ecr-public' : 'ecr',
      target: isPublic
        ? 'SpencerFrontendService.GetAuthorizationToken'
        : 'AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken',
      credentials,
      dispatcher,
    },
    signal,
  );
  return passwordIn(answer['authorizationData']);
}

/** ECR gives a list of one, ECR Public the one. Throws an `Error` that quotes nothing. */
export function passwordIn(data: unknown): RegistryPassword {
  const [first] = Array.isArray(data) ? (data as unknown[]) : [data];
  const { authorizationToken: token, expiresAt } = (first ?? {}) as Record<string, unknown>;
  const text = typeof token === 'string' ? Buffer.from(token, 'base64').toString('utf8') : '';
  const colon = text.indexOf(':');
  if (colon < 1) throw new Error('the registry service answered without a user and a password');
  const expiresMs = typeof expiresAt === 'number' ? expiresAt * 1000 : Date.parse(String(expiresAt));
  return {
    username: text.slice(0, colon),
    password: text.slice(colon + 1),
    expiresMs: Number.isFinite(expiresMs) ? expiresMs : 0,
  };
}
