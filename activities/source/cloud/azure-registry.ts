// Logins to Azure's registries, ACR: a token of Entra ID is exchanged for a refresh token of the registry, which its token
// server takes (contract 1.2, provider azure).
import type { Dispatcher } from 'undici';
import { formBody, requestJson } from '../http/bounded-request.ts';
import type { Expiring } from './kept-credentials.ts';

const hostPattern = /^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.azurecr\.(?:io|cn|de|us)$/;

/** What a token has to be for to be exchanged by a registry; undefined for a host that is none of ACR. */
export function azureRegistryResourceOf(host: string): string | undefined {
  if (!hostPattern.test(host)) return undefined;
  if (host.endsWith('.cn')) return 'https://management.chinacloudapi.cn';
  return host.endsWith('.us') ? 'https://management.usgovcloudapi.net' : 'https://management.azure.com';
}

/** Fails with HttpRefusal, the network's error, or an `Error` for an answer without a token. */
export async function azureRefreshToken(
  host: string,
  accessToken: string,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<Expiring & { refreshToken: string }> {
  const form = formBody({ grant_type: 'access_token', service: host, access_token: accessToken });
  const answer = await requestJson(`https://${host}/oauth2/exchange`, form, dispatcher, signal);
  const { refresh_token: refreshToken } = answer;
  if (typeof refreshToken !== 'string' || refreshToken === '') {
    throw new Error('the registry answered without a refresh token');
  }
  return { refreshToken, expiresMs: expiryOf(refreshToken) };
}

/** The end of a JSON web token, as it says itself; what it signs is for the registry to check. */
function expiryOf(token: string): number {
  try {
    const { exp } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as {
      exp?: unknown;
    };
    return typeof exp === 'number' ? exp * 1000 : 0;
  } catch {
    return 0;
  }
}
