// A login that is kept, and what is said when it fails.
import { failure, messageOf } from '../../errors.ts';
import { describeRemoteError } from '../git/remote-error.ts';
import { HttpRefusal } from '../../http-refusal.ts';
import { type Expiring, kept } from './kept-credentials.ts';

/**
 * What `service` (its name in messages: `the token service at "sts.example.org"`) gives for `id`; it is asked again
 * shortly before that ends. Fails with AuthenticationFailed; what is a failure already stays as it is.
 */
export async function logIn<T extends Expiring>(
  service: string,
  id: unknown,
  ask: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  try {
    return await kept(id, ask, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Error && error.name === 'ApplicationFailure') throw error;
    const why = error instanceof HttpRefusal ? `: ${messageOf(error)}` : ` ${describeRemoteError(error)}`;
    throw failure('AuthenticationFailed', `${service} gave no credentials${why.replace(' : ', ': ')}`, {
      cause: error,
    });
  }
}
