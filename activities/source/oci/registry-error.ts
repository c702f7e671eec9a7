// What went wrong with a registry, told apart so that each kind of source can give its own reason.
import { failure, type Reason } from '../../errors.ts';
import { describeRemoteError } from '../git/remote-error.ts';

/**
 * `authentication` the registry or its token server refused (401, 403) · `notFound` no such repository, tag, manifest or
 * blob · `rateLimited` still refused (429) after waiting · `unavailable` a network error or 5xx after trying again ·
 * `content` bytes that are not those of their digest, over a limit, or no valid document · `protocol` any other answer.
 */
export type RegistryProblem = 'authentication' | 'notFound' | 'rateLimited' | 'unavailable' | 'content' | 'protocol';

export interface RegistryErrorOptions {
  cause?: unknown;
  /** How long the registry asks to be left alone. */
  retryAfterMs?: number;
}

/** A failed request to a registry; the message is for people, and holds no secret. */
export class RegistryError extends Error {
  override readonly name = 'RegistryError';
  readonly problem: RegistryProblem;
  readonly retryAfterMs: number | undefined;

  constructor(problem: RegistryProblem, message: string, { cause, retryAfterMs }: RegistryErrorOptions = {}) {
    super(message, { cause });
    this.problem = problem;
    this.retryAfterMs = retryAfterMs;
  }
}

/** A connection that failed, in words, e.g. `registry "ghcr.io" cannot be reached (ECONNREFUSED): …`; `hint` is added when it was cut. */
export function connectionError(subject: string, error: unknown, hint = ''): RegistryError {
  const code = codeOf(error);
  const words = code ? ownWords[code] : undefined;
  const told = words ? `(${code}): ${words}` : describeRemoteError(error).replace(/^: /, ': ');
  const isCut = code === 'UND_ERR_SOCKET' || code === 'ECONNRESET';
  const message = `${subject} ${told}`.replace(' : ', ': ');
  return new RegistryError('unavailable', isCut && hint ? `${message}; ${hint}` : message, { cause: error });
}

/** Where the words for Git servers would lead astray. */
const ownWords: Record<string, string> = Object.fromEntries(
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', 'EPROTO'].map((code) => [
    code,
    'the server does not speak TLS on this port; if it is meant to be so, set spec.insecure to true',
  ]),
);

/** True when the other side does not speak TLS at all, which is something else than a wrong certificate. */
export function isWithoutTls(error: unknown): boolean {
  const code = codeOf(error);
  return code !== undefined && Object.hasOwn(ownWords, code);
}

function codeOf(error: unknown): string | undefined {
  for (let current = error; current instanceof Error; current = current.cause) {
    if ('code' in current && typeof current.code === 'string') return current.code;
  }
  return undefined;
}

/**
 * The failure that a stage throws for anything that a registry's client threw: AuthenticationFailed when the registry
 * refused, else the reason that the step has. What is no {@link RegistryError} is passed on as it is.
 */
export function registryFailure(error: unknown, reason: Reason, what: string): unknown {
  if (!(error instanceof RegistryError)) return error;
  return failure(error.problem === 'authentication' ? 'AuthenticationFailed' : reason, `${what}: ${error.message}`, {
    cause: error,
    retryInMs: error.retryAfterMs,
  });
}
