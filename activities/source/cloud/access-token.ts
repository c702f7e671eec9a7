// What token services give (OAuth 2, RFC 6749 section 5.1).

export interface AccessToken {
  token: string;
  expiresMs: number;
}

const defaultLifeSeconds = 300;

/**
 * The token in the answer of a token service: `access_token`, with `expires_in` in seconds from now, or Azure's
 * `expires_on` in seconds since 1970. Throws an `Error` when there is none.
 */
export function tokenIn(json: Record<string, unknown>): AccessToken {
  const { access_token: token, expires_in: life, expires_on: end } = json;
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) {
    throw new Error('the token service answered without a token');
  }
  const [lifeSeconds, endSeconds] = [Number(life ?? Number.NaN), Number(end ?? Number.NaN)];
  if (!Number.isFinite(lifeSeconds) && Number.isFinite(endSeconds)) return { token, expiresMs: endSeconds * 1000 };
  return { token, expiresMs: Date.now() + (Number.isFinite(lifeSeconds) ? lifeSeconds : defaultLifeSeconds) * 1000 };
}
