// Addresses that no transport takes.
import { failure } from '../../errors.ts';
import { placeOf } from './ssh/ssh-transport.ts';

/** Fails with URLInvalid when `spec.url` is no address of a repository. */
export function refuseBadUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !['http:', 'https:', 'ssh:'].includes(url.protocol) || url.hostname === '') {
    throw failure(
      'URLInvalid',
      'spec.url is not a valid address: expected "https://<host>/<repository>" or "ssh://<user>@<host>/<repository>"',
    );
  }
  if (url.protocol === 'ssh:') placeOf(text);
}
