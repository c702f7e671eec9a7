// What is refused with a clear word instead of being passed over.
import type { GitRepositorySpec } from '../../../k8s/api/git-repository.ts';
import { failure } from '../../errors.ts';
import { placeOf } from './ssh/ssh-transport.ts';

/** Fails with a stalling reason when the spec asks for something that this installation does not do. */
export function refuseUnsupported(spec: GitRepositorySpec): void {
  refuseBadUrl(spec.url);
  const field = unsupportedField(spec);
  if (field) {
    throw failure('FeatureGateDisabled', `${field} is not supported yet by this version of Continuo: remove it`);
  }
}

function refuseBadUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !['http:', 'https:', 'ssh:'].includes(url.protocol) || url.hostname === '') {
    throw failure(
      'URLInvalid',
      'spec.url is not a valid address: expected "https://<host>/<repository>" or "ssh://<user>@<host>/<repository>"',
    );
  }
  if (url.protocol === 'ssh:') placeOf(text);
}

function unsupportedField(spec: GitRepositorySpec): string | undefined {
  if (spec.provider === 'aws' || spec.provider === 'azure') {
    return `spec.provider "${spec.provider}" (login by workload identity)`;
  }
  if (spec.serviceAccountName) return 'spec.serviceAccountName';
  return undefined;
}
