// What went wrong with a bucket, in words that say what to do (contract 1.0, source reason catalogue).
import { failure, messageOf, type Reason } from '../../errors.ts';
import { describeRemoteError } from '../git/remote-error.ts';
import { HttpRefusal } from '../../http-refusal.ts';
import { type BucketStorage, ObjectChanged } from './bucket-storage.ts';

/** The storage's words for credentials that it does not take. */
const wrongCredentials = new Set([
  ...['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'ExpiredToken', 'InvalidToken', 'RequestTimeTooSkewed'],
  'XAdminUserNotFound', // versitygw
  ...['AuthenticationFailed', 'InvalidAuthenticationInfo', 'UNAUTHENTICATED'],
]);
const missingBucket = new Set(['NoSuchBucket', 'ContainerNotFound']);

interface Explanation {
  reason: Reason;
  /** After the server's own words. */
  advice: string;
}

/** What is known of the way to a bucket. */
export interface BucketAccess {
  /** What logs in: the Secret of the object, an identity in the cloud or of a token service, or nothing. */
  login: 'secret' | 'identity' | 'none';
  /** What to look at when the server cuts the connection; may be empty. */
  hint: string;
}

/** The failure of an operation such as `listing`; what is a failure already stays as it is. */
export function bucketFailure(
  operation: string,
  storage: Pick<BucketStorage, 'name'>,
  error: unknown,
  { login, hint }: BucketAccess,
): Error {
  if (error instanceof Error && ['ApplicationFailure', 'CancelledFailure', 'AbortError'].includes(error.name))
    return error;
  const subject = `${operation} ${storage.name} failed`;
  if (error instanceof HttpRefusal) {
    const { reason, advice } = explain(error, login);
    const code = error.code ?? `HTTP ${error.status}`;
    return failure(reason, `${subject} (${code}): ${lowerFirst(messageOf(error))}${advice}`, { cause: error });
  }
  if (error instanceof ObjectChanged) {
    return failure('BucketOperationFailed', `${subject}: ${error.message}, again and again`, { cause: error });
  }
  const text = `${subject} ${describeRemoteError(error, hint)}`.replace(' : ', ': ');
  return failure('BucketOperationFailed', text, { cause: error });
}

const loginAdvice = {
  secret: '; correct the Secret of spec.secretRef',
  identity:
    '; the storage does not know the identity that spec.provider or spec.sts logs in with: check its account and region',
  none: '; name a Secret in spec.secretRef',
} as const;

function explain({ status, code }: HttpRefusal, login: BucketAccess['login']): Explanation {
  if (missingBucket.has(code ?? '') || (status === 404 && !wrongCredentials.has(code ?? ''))) {
    return { reason: 'BucketOperationFailed', advice: '; create the bucket, or correct spec.bucketName' };
  }
  if (code === 'AuthorizationHeaderMalformed') {
    return { reason: 'BucketOperationFailed', advice: '; correct spec.region, or leave it out' };
  }
  if (status === 401 || wrongCredentials.has(code ?? '')) {
    return { reason: 'AuthenticationFailed', advice: loginAdvice[login] };
  }
  if (status === 403) {
    const advice =
      login === 'none'
        ? '; name a Secret with credentials in spec.secretRef'
        : '; let these credentials list and read the bucket';
    return { reason: 'BucketOperationFailed', advice };
  }
  if (status >= 300 && status < 400) {
    const advice = '; redirects are not followed: correct spec.endpoint, or set spec.region';
    return { reason: 'BucketOperationFailed', advice };
  }
  return { reason: 'BucketOperationFailed', advice: '' };
}

function lowerFirst(text: string): string {
  const plain = text.replace(/\s+/g, ' ').replace(/[.\s]+$/, '');
  return /^[A-Z][a-z]/.test(plain) ? `${plain[0]?.toLowerCase()}${plain.slice(1)}` : plain;
}
