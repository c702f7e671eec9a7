// What this version does not do yet: each is refused with a clear word instead of being passed over.
import type { GitRepositorySpec } from '../../../k8s/api/git-repository.ts';
import { failure } from '../../errors.ts';

/** Fails with a stalling reason when the spec asks for something that this version of Continuo does not do. */
export function refuseUnsupported(spec: GitRepositorySpec): void {
  const url = URL.canParse(spec.url) ? new URL(spec.url) : undefined;
  if (url?.protocol === 'ssh:') {
    throw failure(
      'URLInvalid',
      'spec.url with "ssh://" is not supported yet by this version of Continuo: use "https://"',
    );
  }
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.hostname === '') {
    throw failure('URLInvalid', 'spec.url is not a valid address: expected "https://<host>/<repository>"');
  }
  const field = unsupportedField(spec);
  if (field) {
    throw failure('FeatureGateDisabled', `${field} is not supported yet by this version of Continuo: remove it`);
  }
}

function unsupportedField(spec: GitRepositorySpec): string | undefined {
  if (spec.provider && spec.provider !== 'generic') return `spec.provider "${spec.provider}"`;
  if (spec.serviceAccountName) return 'spec.serviceAccountName';
  if (spec.verify) return 'spec.verify';
  if (spec.include && spec.include.length > 0) return 'spec.include';
  if (spec.recurseSubmodules) return 'spec.recurseSubmodules';
  if (spec.proxySecretRef) return 'spec.proxySecretRef';
  return undefined;
}
