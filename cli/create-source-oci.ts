// The OCIRepository that `continuo create source oci` makes of its flags. Pure.
import { planReference } from '../activities/source/oci/select-reference.ts';
import { parseRepositoryAddress } from '../activities/source/oci/oci-address.ts';
import { kinds } from '../k8s/api/index.ts';
import type { OCIRepositorySpec } from '../k8s/api/oci-repository.ts';
import type { KubeObject } from '../k8s/object.ts';
import { type CreateFlags, type FetchFlags, objectOf } from './create-flags.ts';
import { usageError } from './exit.ts';

export interface SourceOciFlags extends CreateFlags, FetchFlags {
  url?: string;
  tag?: string;
  tagSemver?: string;
  digest?: string;
  layerSelector?: string;
  provider?: OCIRepositorySpec['provider'];
  secretRef?: string;
  serviceAccount?: string;
  certRef?: string;
  proxySecretRef?: string;
  ignorePaths?: string[];
  insecure?: boolean;
  verifyProvider?: 'cosign' | 'notation';
  verifySecretRef?: string;
  verifyIssuer?: string;
  verifySubject?: string;
}

/** Throws a usage error that names the flag that is missing or wrong. */
export function ociRepositoryFromFlags(name: string, flags: SourceOciFlags): KubeObject {
  const { tag, tagSemver: semver, digest } = flags;
  const ref = { ...(tag && { tag }), ...(semver && { semver }), ...(digest && { digest }) };
  if (Object.keys(ref).length === 0) {
    throw usageError('what to take is missing: give --tag, --tag-semver or --digest');
  }
  checked('', () => planReference(ref));
  if (!flags.url) throw usageError('--url is missing: expected for example "oci://ghcr.io/org/repository"');
  const { url } = flags;
  checked('--url: ', () => parseRepositoryAddress(url));
  const layerSelector = parseLayerSelector(flags.layerSelector);
  const spec: Partial<OCIRepositorySpec> = {
    interval: flags.interval,
    ...(flags.fetchTimeout && { timeout: flags.fetchTimeout }),
    url,
    ref,
    ...(layerSelector && { layerSelector }),
    ...(flags.provider && { provider: flags.provider }),
    ...(flags.secretRef && { secretRef: { name: flags.secretRef } }),
    ...(flags.serviceAccount && { serviceAccountName: flags.serviceAccount }),
    ...(flags.certRef && { certSecretRef: { name: flags.certRef } }),
    ...(flags.proxySecretRef && { proxySecretRef: { name: flags.proxySecretRef } }),
    ...(flags.ignorePaths && { ignore: flags.ignorePaths.join('\n') }),
    ...(flags.insecure && { insecure: true }),
    ...verifyOf(flags),
  };
  return objectOf(kinds.OCIRepository, name, flags, spec);
}

function verifyOf(flags: SourceOciFlags): Pick<OCIRepositorySpec, 'verify'> {
  const { verifyProvider: provider, verifySecretRef, verifyIssuer: issuer, verifySubject: subject } = flags;
  if (!provider) {
    if (verifySecretRef ?? issuer ?? subject)
      throw usageError('--verify-provider is missing: expected "cosign" or "notation"');
    return {};
  }
  if ((issuer === undefined) !== (subject === undefined)) {
    throw usageError('expected both of --verify-issuer and --verify-subject');
  }
  return {
    verify: {
      provider,
      ...(verifySecretRef && { secretRef: { name: verifySecretRef } }),
      ...(issuer !== undefined && subject !== undefined && { matchOIDCIdentity: [{ issuer, subject }] }),
    },
  };
}

/** `<media type>[:<operation>]`. */
function parseLayerSelector(text: string | undefined): OCIRepositorySpec['layerSelector'] {
  if (!text) return undefined;
  const [mediaType = '', operation = 'extract', ...rest] = text.split(':');
  if (mediaType === '' || rest.length > 0 || (operation !== 'extract' && operation !== 'copy')) {
    throw usageError(`--layer-selector: expected "<media type>:<extract|copy>", got "${text}"`);
  }
  return { mediaType, operation };
}

function checked(prefix: string, check: () => unknown): void {
  try {
    check();
  } catch (error) {
    throw usageError(prefix + (error as Error).message);
  }
}
