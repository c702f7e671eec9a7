// The sources: a driver for each kind, and what the drivers need.
import { join } from 'node:path';
import type { GitRepository } from '../k8s/api/git-repository.ts';
import type { HelmRepository } from '../k8s/api/helm-repository.ts';
import type { KubeClient } from '../k8s/client.ts';
import type { FluxObjects } from '../k8s/flux-objects.ts';
import type { KubeObject, NamespacedName } from '../k8s/object.ts';
import type { ArtifactStore, UnpackedArtifacts } from '../activities/artifact/artifact.ts';
import type { ReadArtifact } from '../activities/artifact/read-artifact.ts';
import { readValuesYaml, writeValuesYaml } from '../activities/helm/values-yaml.ts';
import { createBucketSource } from '../activities/source/bucket/bucket-source.ts';
import { createCloudLogins } from '../activities/source/cloud/cloud-logins.ts';
import { createGitSource } from '../activities/source/git/git-source.ts';
import { createChartRepositories } from '../activities/source/helm/chart-repositories.ts';
import { createHelmChartSource } from '../activities/source/helm/helm-chart-source.ts';
import { createHelmRepositorySource } from '../activities/source/helm/helm-repository-source.ts';
import { createIndexCache } from '../activities/source/helm/index-cache.ts';
import { createPublicRoot } from '../activities/source/oci/verify/public-root.ts';
import { createOciSource } from '../activities/source/oci/oci-source.ts';
import { createSourceActivities, type SourceActivities } from '../activities/source/source-activities.ts';
import type { SourceObject } from '../activities/source/source-driver.ts';
import type { WorkerConfig } from './config.ts';

const mebibyte = 1024 * 1024;

export interface SourceParts {
  kube: KubeClient;
  config: WorkerConfig;
  store: ArtifactStore;
  objects: FluxObjects;
  unpacked: UnpackedArtifacts;
  readArtifact: ReadArtifact;
}

export function composeSources(parts: SourceParts): SourceActivities {
  const { kube, config, store, objects } = parts;

  const gitRepository = async (ref: NamespacedName) =>
    (await objects.get('GitRepository', ref)) as GitRepository | undefined;

  const sourceDeps = {
    store,
    dataDirectory: config.CONTINUO_DATA_DIR,
    readSecret: (namespace: string, name: string) => readSecret(kube, namespace, name),
    readPullSecrets: (namespace: string, serviceAccount: string) => readPullSecrets(kube, namespace, serviceAccount),
    publicRoot: createPublicRoot({
      repositoryUrl: config.CONTINUO_SIGSTORE_TUF_URL,
      rootFile: config.CONTINUO_SIGSTORE_TUF_ROOT,
      cacheDirectory: join(config.CONTINUO_DATA_DIR, 'sigstore'),
    }),
    logins: createCloudLogins({
      accounts: config.CONTINUO_OBJECT_LEVEL_WORKLOAD_IDENTITY
        ? {
            readAnnotations: async (namespace, name) => annotationsOf(await readServiceAccount(kube, namespace, name)),
            requestToken: (account, options) => kube.requestToken(account, options),
            defaultServiceAccount: config.CONTINUO_DEFAULT_SERVICE_ACCOUNT,
          }
        : undefined,
    }),
  };

  const limits = {
    indexBytes: config.CONTINUO_HELM_INDEX_MAX_MIB * mebibyte,
    chartBytes: config.CONTINUO_HELM_CHART_MAX_MIB * mebibyte,
    chartFileBytes: config.CONTINUO_HELM_CHART_FILE_MAX_MIB * mebibyte,
  };
  const indexes = createIndexCache({ readArtifact: parts.readArtifact, maxIndexBytes: limits.indexBytes });
  const helmSourceDeps = {
    ...sourceDeps,
    indexes,
    limits,
    unpacked: parts.unpacked,
    yaml: { read: readValuesYaml, write: writeValuesYaml },
    repositories: createChartRepositories({
      ...sourceDeps,
      indexes,
      limits,
      helmRepositories: (namespace) =>
        objects.list('HelmRepository').filter((one) => one.metadata.namespace === namespace) as HelmRepository[],
    }),
    source: async (kind: 'HelmRepository' | 'GitRepository' | 'Bucket', ref: NamespacedName) =>
      (await objects.get(kind, ref)) as SourceObject | undefined,
  };

  return createSourceActivities({
    store,
    drivers: {
      GitRepository: createGitSource({
        ...sourceDeps,
        gitBinary: config.CONTINUO_GIT,
        sshAlgorithms: { kex: config.CONTINUO_SSH_KEX_ALGOS, hostKey: config.CONTINUO_SSH_HOSTKEY_ALGOS },
        largePackBytes: config.CONTINUO_LARGE_REPOSITORY_MIB * mebibyte,
        include: { unpacked: parts.unpacked, gitRepository },
      }),
      OCIRepository: createOciSource(sourceDeps),
      HelmRepository: createHelmRepositorySource(helmSourceDeps),
      HelmChart: createHelmChartSource(helmSourceDeps),
      Bucket: createBucketSource(sourceDeps),
    },
    source: async ({ kind, ...ref }) => (await objects.get(kind, ref)) as SourceObject | undefined,
  });
}

async function readSecret(
  kube: KubeClient,
  namespace: string,
  name: string,
): Promise<Record<string, Uint8Array> | undefined> {
  const secret = await kube.get({ group: '', version: 'v1', kind: 'Secret', namespace, name });
  if (!secret) return undefined;
  const data = (secret.data ?? {}) as Record<string, string>;
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64')]));
}

/** The names of the pull secrets of a service account; undefined when it does not exist. */
async function readPullSecrets(
  kube: KubeClient,
  namespace: string,
  serviceAccount: string,
): Promise<string[] | undefined> {
  const account = await readServiceAccount(kube, namespace, serviceAccount);
  const { imagePullSecrets = [] } = (account ?? {}) as { imagePullSecrets?: { name: string }[] };
  return account && imagePullSecrets.map(({ name }) => name);
}

function annotationsOf(account: KubeObject | undefined): Record<string, string> | undefined {
  return account && (account.metadata.annotations ?? {});
}

async function readServiceAccount(kube: KubeClient, namespace: string, name: string) {
  const ref = { group: '', version: 'v1', kind: 'ServiceAccount', namespace, name };
  return await kube.get(ref);
}
