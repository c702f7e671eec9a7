// Where the services of AWS are, and how requests to them are signed.
import { AwsV4Signer } from 'aws4fetch';
import type { Dispatcher } from 'undici';
import type { S3Credentials } from '../../s3-client.ts';
import { requestJson } from '../http/bounded-request.ts';
import type { Environment } from './cloud-identity.ts';

/** The services that are asked here, as `AWS_ENDPOINT_URL_<name>` spells them. */
export type AwsService = 'STS' | 'ECR' | 'ECR_PUBLIC';

/**
 * The endpoint of a service: that of the environment (`AWS_ENDPOINT_URL_<service>`, `AWS_ENDPOINT_URL`), else `host`,
 * a name such as `sts.eu-west-1` in the partition of its region. Without a slash at its end.
 */
export function awsEndpoint(service: AwsService, host: string, region: string, env: Environment): string {
  const isIgnored = env['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS'] === 'true';
  const configured = isIgnored ? undefined : env[`AWS_ENDPOINT_URL_${service}`] || env['AWS_ENDPOINT_URL'];
  return (configured ?? `https://${host}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`).replace(/\/+$/, '');
}

export interface AwsCall {
  /** With scheme. */
  endpoint: string;
  region: string;
  /** Name of the service in the signature. */
  service: string;
  /** Value of `x-amz-target`: what is asked for. */
  target: string;
  credentials: S3Credentials;
  dispatcher: Dispatcher;
}

/** Asks an API in AWS's JSON 1.1 without parameters, signed (SigV4). Fails with HttpRefusal, or the network's error. */
export async function callAws(call: AwsCall, signal: AbortSignal): Promise<Record<string, unknown>> {
  const { endpoint, region, service, target, credentials, dispatcher } = call;
  const body = '{}';
  const plain = { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': target };
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  const signer = new AwsV4Signer({
    method: 'POST',
    url: `${endpoint}/`,
    headers: plain,
    body,
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === undefined ? {} : { sessionToken }),
    service,
    region,
  });
  const { headers } = await signer.sign();
  return await requestJson(
    `${endpoint}/`,
    { method: 'POST', headers: { ...Object.fromEntries(headers), ...plain }, body },
    dispatcher,
    signal,
  );
}
