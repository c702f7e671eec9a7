// What the stages of a HelmRelease need, made from what the engine has.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { HelmRelease } from '../k8s/api/helm-release.ts';
import type { KubeClient } from '../k8s/client.ts';
import type { FluxObjects } from '../k8s/flux-objects.ts';
import type { NamespacedName } from '../k8s/object.ts';
import type { WatchedReferences } from '../k8s/referenced-objects.ts';
import { readInventory, writeInventory } from '../activities/apply/inventory-blob.ts';
import {
  correctReleaseDrift,
  detectReleaseDrift,
  driftLine,
  type ReleaseDriftRequest,
} from '../activities/apply/release-drift.ts';
import type { ArtifactStore } from '../activities/artifact/artifact.ts';
import { downloadArtifact, type DownloadOptions } from '../activities/artifact/download.ts';
import { packArchive } from '../activities/artifact/pack-archive.ts';
import { readTar } from '../activities/artifact/tar-reader.ts';
import { runKustomize } from '../activities/build/kustomize.ts';
import type { EventRecorder } from '../activities/event/recorder.ts';
import { createApiGateway, helmManager } from '../activities/helm/api-gateway.ts';
import { createChartFiles } from '../activities/helm/chart-file.ts';
import { helmChartOf } from '../activities/helm/chart-template.ts';
import { withGatedDefaults } from '../activities/helm/gated-defaults.ts';
import { createHelmStarter } from '../activities/helm/helm-starter.ts';
import { createReleaseActivities } from '../activities/helm/release-activities.ts';
import type { DriftRequest } from '../activities/helm/release-context.ts';
import type { PrepareReleaseInput } from '../activities/helm/release-types.ts';
import { createReleaseMemory } from '../activities/helm/release-memory.ts';
import { longestProcessMs } from '../activities/helm/run-helm-directory.ts';
import { removeAbandoned } from '../activities/private-directory.ts';
import { createObjectActivities, type ObjectWriter } from '../activities/status/status-activities.ts';
import type { WorkerConfig } from './config.ts';
import { createSettledReleases } from './settled-releases.ts';
import type { TargetClusters } from './target-clusters.ts';
import { toldIfLong } from './told-if-long.ts';

export interface HelmParts {
  kube: KubeClient;
  config: WorkerConfig;
  store: ArtifactStore;
  localStore: DownloadOptions['localStore'];
  objects: FluxObjects;
  references: WatchedReferences;
  targets: TargetClusters;
  writer: ObjectWriter;
  events: Pick<EventRecorder, 'record'>;
}

/** One post-render of kustomize takes milliseconds. */
const kustomizeTimeoutMs = 60_000;
const mebibyte = 1024 * 1024;
const maxOutputBytes = 32 * mebibyte;

/** The release activities, and what else of them the engine asks. */
export function composeHelm(parts: HelmParts) {
  const { kube, config, store, localStore, objects, references, targets, writer, events } = parts;
  const hostRewrite = config.SOURCE_CONTROLLER_LOCALHOST;
  const temporaryDirectory = join(config.CONTINUO_DATA_DIR, 'helm');
  void removeAbandoned(temporaryDirectory, longestProcessMs);
  const gateway = createApiGateway();
  const helm = createHelmStarter({
    binary: config.CONTINUO_HELM,
    temporaryDirectory,
    concurrency: config.CONTINUO_CONCURRENT_HELM ?? availableParallelism() + 1,
  });
  const releases = createReleaseMemory();
  const { reportProgress } = createObjectActivities(writer);
  const gates = {
    useHelm3Defaults: config.CONTINUO_USE_HELM3_DEFAULTS,
    defaultToRetryOnFailure: config.CONTINUO_DEFAULT_TO_RETRY_ON_FAILURE,
  };
  const helmRelease = async (ref: NamespacedName, resourceVersion?: string): Promise<HelmRelease | undefined> => {
    const known = objects.peek('HelmRelease', ref);
    // What was written from here is known already; only another worker's write has to be waited for.
    const isKnown = BigInt(known?.metadata.resourceVersion ?? 0) >= BigInt(resourceVersion ?? 0);
    if (resourceVersion && !isKnown) await objects.catchUp('HelmRelease', resourceVersion);
    const object = (await objects.get('HelmRelease', ref)) as HelmRelease | undefined;
    return object && withGatedDefaults(object, gates);
  };
  const activities = createReleaseActivities({
    helmRelease,
    home: kube,
    targetOf: async (object) => ({ ...(await targets.open(object)), releases }),
    references,
    charts: createChartFiles({
      readTar,
      packArchive,
      directory: join(config.CONTINUO_DATA_DIR, 'charts'),
      download: (artifact, target, signal) => downloadArtifact(artifact, target, { localStore, hostRewrite }, signal),
      isDigestTracked: !config.CONTINUO_DISABLE_CHART_DIGEST_TRACKING,
      maxBytes: config.CONTINUO_HELM_CHART_MAX_MIB * mebibyte,
    }),
    helm,
    gateway,
    isDnsAllowed: config.CONTINUO_ALLOW_DNS_LOOKUPS,
    kustomize: (directory, signal) =>
      runKustomize({
        binary: config.CONTINUO_KUSTOMIZE,
        directory,
        target: '.',
        home: directory,
        restrictor: 'root',
        timeoutMs: kustomizeTimeoutMs,
        maxOutputBytes,
        signal,
      }),
    temporaryDirectory,
    writeInventory: ({ namespace, name }, entries) =>
      writeInventory(store, { kind: 'HelmRelease', namespace, name }, entries),
    readInventory: (key) => readInventory(store, key),
    drift: {
      detect: async (request) => (await detectReleaseDrift(driftRequest(request, config))).map(driftLine),
      correct: async (request) => (await correctReleaseDrift(driftRequest(request, config))).map(driftLine),
    },
    async patchStatus(object, change) {
      await writer.writeStatus(object, { ...object.status, ...change });
    },
    learn: (object) => objects.learn(object),
    telling: (ref, message, work) =>
      toldIfLong(() => reportProgress({ ref: { kind: 'HelmRelease', ...ref }, message }), work),
    tell: (object, reason, message, type = 'Normal') =>
      events.record({ object, type, reason, message, component: helmManager }),
  });
  const settled = createSettledReleases({ helmRelease, references, locate: (object) => targets.locate(object) });
  return {
    activities: {
      ...activities,
      prepareRelease: (input: PrepareReleaseInput) => settled.noting(input, activities.prepareRelease),
    },
    isSettled: settled.isSettled,
    helmRelease,
    isChartAsWanted: (object: HelmRelease) => isChartAsWanted(object, objects),
    async close() {
      helm.close();
      await gateway.close();
    },
  };
}

function driftRequest(
  { object, target, release, desired, signal }: DriftRequest,
  config: WorkerConfig,
): ReleaseDriftRequest {
  return {
    client: target.client,
    objects: desired,
    release,
    ignore: object.spec.driftDetection?.ignore,
    fieldManager: helmManager,
    concurrency: config.CONTINUO_CONCURRENT_SSA,
    signal,
  };
}

/** True when the HelmChart is as an apply would leave it, as far as memory knows. */
function isChartAsWanted(object: HelmRelease, objects: Pick<FluxObjects, 'peek'>): boolean {
  const wanted = helmChartOf(object);
  const known = object.status?.helmChart;
  if (!wanted) return known === undefined;
  const { namespace = '', name } = wanted.metadata;
  if (known !== `${namespace}/${name}`) return false;
  const live = objects.peek('HelmChart', { namespace, name });
  if (!live || live.metadata.deletionTimestamp) return false;
  const has = (all: Record<string, string> | undefined, some: Record<string, string> | undefined): boolean =>
    Object.entries(some ?? {}).every(([key, value]) => all?.[key] === value);
  const { suspend: _, ...spec } = (live.spec ?? {}) as Record<string, unknown>;
  return (
    isDeepStrictEqual(spec, wanted.spec) &&
    has(live.metadata.labels, wanted.metadata.labels) &&
    has(live.metadata.annotations, wanted.metadata.annotations)
  );
}
