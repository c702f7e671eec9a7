// Tokens of Google Cloud in exchange for a token of somebody else (workload identity federation): of a service account of
// this cluster, or of the file that GOOGLE_APPLICATION_CREDENTIALS describes.
import { readFile } from 'node:fs/promises';
import type { Dispatcher } from 'undici';
import { formBody, requestJson } from '../http/bounded-request.ts';
import { type AccessToken, tokenIn } from './access-token.ts';
import { annotationOf, type CloudAccount, type Environment } from './cloud-identity.ts';
import { readMetadata } from './gcp-metadata.ts';

/** Where a token is exchanged, and for whom. */
interface Exchange {
  /** Who is to be trusted: the provider of a pool. */
  audience: string;
  subjectTokenType: string;
  tokenUrl: string;
  /** Of IAM, to act as a service account of Google; undefined: as oneself. */
  impersonationUrl: string | undefined;
}

/** A file of type `external_account`. */
export interface Federation extends Exchange {
  /** Where the token lies. */
  tokenFile: string;
  /** The field of it, where the file is JSON. */
  tokenField: string | undefined;
}

const jwtType = 'urn:ietf:params:oauth:token-type:jwt';
const lifeSeconds = 3600;

/**
 * The federation that a credential file describes; undefined for a file of another type. Throws an `Error` for one whose
 * token is not in a file, or with addresses that are none.
 */
export function parseFederation(json: string): Federation | undefined {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(json) as Record<string, unknown>;
  } catch {
    throw new Error('is no JSON'); // the parser's own message quotes the text
  }
  if (fields?.['type'] !== 'external_account') return undefined;
  const text = (from: Record<string, unknown>, name: string): string | undefined => {
    const value = from[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const source = (fields['credential_source'] ?? {}) as Record<string, unknown>;
  const format = (source['format'] ?? {}) as Record<string, unknown>;
  const tokenFile = text(source, 'file');
  const audience = text(fields, 'audience');
  if (!audience || !tokenFile) {
    throw new Error('is of type "external_account" without "audience" or without "credential_source.file"');
  }
  const tokenUrl = text(fields, 'token_url') ?? 'https://sts.googleapis.com/v1/token';
  const impersonationUrl = text(fields, 'service_account_impersonation_url');
  for (const url of [tokenUrl, impersonationUrl ?? tokenUrl]) {
    if (!URL.canParse(url)) throw new Error('has a "token_url" or an impersonation address that is no address');
  }
  return {
    audience,
    subjectTokenType: text(fields, 'subject_token_type') ?? jwtType,
    tokenUrl,
    impersonationUrl,
    tokenFile,
    tokenField: text(format, 'type') === 'json' ? (text(format, 'subject_token_field_name') ?? '') : undefined,
  };
}

export async function tokenOfFederation(
  federation: Federation,
  scope: string,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<AccessToken> {
  const { tokenFile, tokenField } = federation;
  const text = await readFile(tokenFile, 'utf8');
  return await exchange(federation, subjectToken(text, tokenField), scope, dispatcher, signal);
}

function subjectToken(text: string, field: string | undefined): string {
  if (field === undefined) return text.trim();
  let value: unknown;
  try {
    value = (JSON.parse(text) as Record<string, unknown>)[field];
  } catch {
    throw new Error('the file with the token is no JSON');
  }
  if (typeof value === 'string') return value;
  throw new Error(`the file with the token has no field "${field}"`);
}

const accountAnnotation = 'iam.gke.io/gcp-service-account';
const accountPattern = /^[a-zA-Z0-9-]{1,100}@[a-zA-Z0-9-]{1,100}\.iam\.gserviceaccount\.com$/;
const providerAnnotation = 'gcp.auth.fluxcd.io/workload-identity-provider';
const providerPattern =
  /^projects\/\d{1,30}\/locations\/global\/workloadIdentityPools\/[^/]{1,100}\/providers\/[^/]{1,100}$/;

/**
 * The Google account that a service account's annotation names, to act as it; undefined: the account itself was given
 * access. Fails with AuthenticationFailed for one that cannot be.
 */
export function googleAccountOf(account: CloudAccount): string | undefined {
  if (!account.annotations[accountAnnotation]) return undefined;
  return annotationOf(account, accountAnnotation, accountPattern, '<name>@<project>.iam.gserviceaccount.com');
}

/**
 * The token of a service account of this cluster: by the provider that its annotation names, or by that of GKE, which the
 * metadata server tells.
 */
export async function gcpTokenOfAccount(
  account: CloudAccount,
  scope: string,
  { env, dispatcher }: { env: Environment; dispatcher: Dispatcher },
  signal: AbortSignal,
): Promise<AccessToken> {
  const email = googleAccountOf(account);
  const endpointOf = (service: string): string =>
    (env[`CLOUDSDK_API_ENDPOINT_OVERRIDES_${service.toUpperCase()}`] ?? `https://${service}.googleapis.com`).replace(
      /\/+$/,
      '',
    );
  const { tokenAudience, audience } = account.annotations[providerAnnotation]
    ? audiencesOfProvider(account)
    : await audiencesOfGke(env, signal);
  const through: Exchange = {
    audience,
    subjectTokenType: jwtType,
    tokenUrl: `${endpointOf('sts')}/v1/token`,
    impersonationUrl:
      email && `${endpointOf('iamcredentials')}/v1/projects/-/serviceAccounts/${email}:generateAccessToken`,
  };
  return await exchange(through, await account.token(tokenAudience, signal), scope, dispatcher, signal);
}

/** Of the token that is exchanged, and of the exchange. */
interface Audiences {
  tokenAudience: string;
  audience: string;
}

function audiencesOfProvider(account: CloudAccount): Audiences {
  const example = 'projects/<number>/locations/global/workloadIdentityPools/<pool>/providers/<provider>';
  const provider = `//iam.googleapis.com/${annotationOf(account, providerAnnotation, providerPattern, example)}`;
  return { tokenAudience: provider, audience: provider };
}

async function audiencesOfGke(env: Environment, signal: AbortSignal): Promise<Audiences> {
  const ask = (path: string): Promise<string> => readMetadata(env, path, signal);
  try {
    const project = await ask('project/project-id');
    const location = await ask('instance/attributes/cluster-location');
    const cluster = await ask('instance/attributes/cluster-name');
    const pool = `${project}.svc.id.goog`;
    const provider = `https://container.googleapis.com/v1/projects/${project}/locations/${location}/clusters/${cluster}`;
    return { tokenAudience: pool, audience: `identitynamespace:${pool}:${provider}` };
  } catch (error) {
    throw new Error(
      `this is no cluster of GKE, as no metadata server tells its name: name a provider in the annotation "${providerAnnotation}" of the account`,
      { cause: error },
    );
  }
}

async function exchange(
  { audience, subjectTokenType, tokenUrl, impersonationUrl }: Exchange,
  subject: string,
  scope: string,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<AccessToken> {
  const grant = {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    audience,
    scope,
    subject_token: subject,
    subject_token_type: subjectTokenType,
  };
  const own = tokenIn(await requestJson(tokenUrl, formBody(grant), dispatcher, signal));
  if (!impersonationUrl) return own;
  const headers = { authorization: `Bearer ${own.token}`, 'content-type': 'application/json' };
  const body = JSON.stringify({ scope: [scope], lifetime: `${lifeSeconds}s` });
  const answer = await requestJson(impersonationUrl, { method: 'POST', headers, body }, dispatcher, signal);
  const { accessToken, expireTime } = answer;
  const lifeLeft = (Date.parse(String(expireTime)) - Date.now()) / 1000;
  return tokenIn({ access_token: accessToken, expires_in: Number.isNaN(lifeLeft) ? undefined : lifeLeft });
}
