// The repository at an address, with the credentials of the HelmRepository that has it (contract 1.4).
import type { HelmRepository } from '../../../k8s/api/helm-repository.ts';
import type { Artifact } from '../../artifact/artifact.ts';
import { failure, messageOf } from '../../errors.ts';
import { type RegistryAccessDeps, registryAccessOf } from '../oci/registry-access.ts';
import type { ChartRemote } from './chart-remote.ts';
import type { ChartIndex } from './chart-index.ts';
import type { IndexCache } from './index-cache.ts';
import { downloadIndex } from './index-download.ts';
import { defaultHelmLimits, type HelmLimits } from './helm-limits.ts';
import { createIndexedRemote } from './indexed-remote.ts';
import { readIndexAside } from './index-reader.ts';
import { createOciRemote } from './oci-remote.ts';
import { openRepositoryAccess, type RepositoryAccess } from './repository-access.ts';
import { normalizeRepositoryUrl } from './repository-url.ts';

export interface ChartRepositoriesDeps extends RegistryAccessDeps {
  indexes: IndexCache;
  /** All that there are in a namespace. */
  helmRepositories(namespace: string): HelmRepository[];
  /** @default those of Flux */
  limits?: HelmLimits;
}

export interface ChartRepositories {
  /** The repository that a HelmRepository describes; one of type `default` by the index in its artifact. */
  of(repository: HelmRepository, signal: AbortSignal): Promise<ChartRemote>;
  /** The repository at an address: as a HelmRepository of the namespace describes it, or without credentials. */
  at(url: string, namespace: string, signal: AbortSignal): Promise<ChartRemote>;
}

export function createChartRepositories(deps: ChartRepositoriesDeps): ChartRepositories {
  const { limits = defaultHelmLimits } = deps;

  async function open(repository: HelmRepository, signal: AbortSignal): Promise<ChartRemote> {
    const { spec, metadata, status } = repository;
    const namespace = metadata.namespace ?? '';
    if (spec.url.startsWith('oci://'))
      return createOciRemote(await registryAccessOf(spec, namespace, deps, signal), limits);
    const access = await openRepositoryAccess(deps.readSecret, namespace, spec);
    const { artifact } = status ?? {};
    if (artifact) return createIndexedRemote(access, (within) => stored(artifact, metadata.name, within), limits);
    let index: Promise<ChartIndex> | undefined;
    return createIndexedRemote(access, async (within) => await (index ??= downloaded(access, limits, within)), limits);
  }

  async function stored(artifact: Artifact, name: string, signal: AbortSignal): Promise<ChartIndex> {
    try {
      return await deps.indexes.get(artifact, signal);
    } catch (error) {
      signal.throwIfAborted();
      const message = `the index of HelmRepository '${name}' cannot be read: ${messageOf(error)}`;
      throw failure('ReadOperationFailed', message, { cause: error });
    }
  }

  return {
    of: open,
    async at(url, namespace, signal) {
      const wanted = normalizeRepositoryUrl(url);
      const known = deps.helmRepositories(namespace).find(({ spec }) => isAt(spec.url, wanted));
      return await open(known ?? anonymous(url, namespace), signal);
    },
  };
}

async function downloaded(access: RepositoryAccess, limits: HelmLimits, signal: AbortSignal): Promise<ChartIndex> {
  const { bytes, sourceName } = await downloadIndex(access, limits, signal, 'ChartPullError');
  try {
    return await readIndexAside(bytes, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw failure('ChartPullError', `${sourceName} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function isAt(url: string, wanted: string): boolean {
  try {
    return normalizeRepositoryUrl(url) === wanted;
  } catch {
    return false;
  }
}

function anonymous(url: string, namespace: string): HelmRepository {
  return {
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'HelmRepository',
    metadata: { namespace, name: '' },
    spec: { url, provider: 'generic' },
  };
}
