// Where the stages meet: what each of them needs is made here, and nowhere else.
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Kustomization } from '../k8s/api/kustomization.ts';
import type { KubeClient } from '../k8s/client.ts';
import { createFluxObjects, type FluxObjects } from '../k8s/flux-objects.ts';
import { parseLabelSelector } from '../k8s/label-selector.ts';
import {
  inventoryEntryOf,
  type KubeObject,
  type NamespacedName,
  type ObjectRef,
  refOfInventoryEntry,
} from '../k8s/object.ts';
import { ClusterError, createRemoteClusters } from '../k8s/remote-clusters.ts';
import { createReferencedObjects, type WatchedReferences } from '../k8s/referenced-objects.ts';
import { createWatchCaches } from '../k8s/watch-caches.ts';
import { createApplyActivities } from '../activities/apply/apply-activities.ts';
import { appliedScope } from '../activities/apply/cache-scope.ts';
import type { AppliedEntry } from '../activities/apply/fingerprint.ts';
import { isAsApplied, isInSync, ownerOfKustomization } from '../activities/apply/in-sync.ts';
import { readInventory } from '../activities/apply/inventory-blob.ts';
import { type ApplyMemory, createApplyMemory } from '../activities/apply/memory.ts';
import type { UnpackedArtifacts } from '../activities/artifact/artifact.ts';
import { createArtifactActivities } from '../activities/artifact/artifact-activities.ts';
import { createManifestStore } from '../activities/artifact/manifests.ts';
import { createSealer } from '../activities/artifact/sealing.ts';
import { createReadArtifact } from '../activities/artifact/read-artifact.ts';
import { createUnpackedArtifacts } from '../activities/artifact/unpack.ts';
import { createBuildActivities, createFindBuilt } from '../activities/build/build-activities.ts';
import { ambientEnvironment } from '../activities/build/decryption/sops-environment.ts';
import { removeAbandoned } from '../activities/private-directory.ts';
import { createEventRecorder } from '../activities/event/recorder.ts';
import { createHealthActivities, type HealthActivities, healthNow } from '../activities/health/health-activities.ts';
import { healthExpressionError } from '../activities/health/health-expressions.ts';
import { type AppliedObject, hasHealthChecks } from '../activities/health/health-targets.ts';
import { healthOf } from '../activities/health/status.ts';
import type { ReleaseInventoryEntry } from '../activities/helm/release-objects.ts';
import { createObserveActivities, type ObserveDependencies } from '../activities/observe/observe-activities.ts';
import { createObserveReleaseActivities } from '../activities/observe/observe-release.ts';
import type { SourceObject } from '../activities/source/source-driver.ts';
import { createHelmReleaseReport } from '../activities/status/report-helm-release.ts';
import { createKustomizationReport } from '../activities/status/report-kustomization.ts';
import { createSourceReport } from '../activities/status/report-source.ts';
import { createObjectActivities, createObjectWriter } from '../activities/status/status-activities.ts';
import type { OpenArtifactStore } from './artifact-store.ts';
import type { WorkerConfig } from './config.ts';
import { beating } from './beating.ts';
import { composeGenerator, isGeneratedAsLeft } from './compose-generator.ts';
import { composeHelm } from './compose-helm.ts';
import { composeSources } from './compose-sources.ts';
import { createDependencyWatch, type DependencyWatch } from './dependency-watch.ts';
import { createDriftWatch, type DriftWatch } from './drift-watch.ts';
import { boundedHealthWaits } from './health-waits.ts';
import type { Log } from './log.ts';
import type { Applier } from './interval-watch.ts';
import { createReleaseDriftWatch, type ReleaseDriftWatch } from './release-drift-watch.ts';
import { createLostArtifacts, type LostArtifacts } from './lost-artifacts.ts';
import { startRetention } from './retention.ts';
import { createTargetClusters, type TargetCluster } from './target-clusters.ts';

/** Built manifests kept in memory. */
const manifestCacheBytes = 64 * 1024 * 1024;

export interface EngineOptions {
  kube: KubeClient;
  config: WorkerConfig;
  log: Log;
  /** The store that the options choose. */
  artifacts: Pick<OpenArtifactStore, 'store' | 'localStore'>;
  /** The installation's key for what is kept of built manifests. */
  sealingKey: Uint8Array;
}

export interface Engine {
  /** For the main task queue. */
  activities: ReturnType<typeof composeActivities>;
  /** For the task queue of those that wait. */
  watchActivities: HealthActivities;
  objects: FluxObjects;
  references: WatchedReferences;
  unpacked: UnpackedArtifacts;
  lostArtifacts: LostArtifacts;
  drift: DriftWatch;
  releaseDrift: ReleaseDriftWatch;
  dependencies: DependencyWatch;
  /** True when memory proves that a reconcile would do nothing. */
  isSettled(object: Applier): Promise<boolean>;
  /** False when an object's artifact, or what it applied, is not (or not provably) there as it was left. */
  isAsLeft(object: KubeObject): Promise<boolean>;
  /** True when an unpacked artifact is known to build what was built before. */
  isBuilt(object: Kustomization, digest: string): Promise<boolean>;
  close(): Promise<void>;
}

export async function compose(options: EngineOptions): Promise<Engine> {
  const parts = await createParts(options);
  const { kube, log } = options;
  const helm = composeHelm({ ...parts, kube, config: options.config, localStore: options.artifacts.localStore });
  const activities = composeActivities(options, parts, helm);
  const health = createHealthActivities({
    ...parts,
    helmRelease: helm.helmRelease,
    clusterOf: parts.targets.open,
    scopeFor: appliedScope,
  });
  const stopRetention = startRetention({
    store: parts.store,
    manifests: parts.manifestStore,
    objects: () => (parts.objects.isSynced('Kustomization') ? parts.objects.list('Kustomization') : undefined),
    retentionMs: options.config.CONTINUO_MANIFEST_RETENTION_SECONDS * 1000,
    log,
  });
  return {
    activities,
    watchActivities: boundedHealthWaits(health, activities.reportProgress),
    objects: parts.objects,
    references: parts.references,
    unpacked: parts.unpacked,
    lostArtifacts: parts.lostArtifacts,
    drift: createDriftWatch({
      locate: parts.targets.locate,
      kustomization: (ref) => parts.objects.peek('Kustomization', ref) as Kustomization | undefined,
      memory: parts.memory,
      log,
    }),
    releaseDrift: createReleaseDriftWatch({ locate: parts.targets.locate, log }),
    dependencies: createDependencyWatch({ client: kube, atHome: parts.targets.atHome, log }),
    async isSettled({ kind, metadata: { namespace = '', name } }) {
      const { observeKustomization, observeHelmRelease } = activities;
      const observe = kind === 'HelmRelease' ? observeHelmRelease : observeKustomization;
      return (await observe({ ref: { namespace, name }, wakes: [] })).isSettled;
    },
    async isAsLeft(object) {
      if (object.kind === 'Kustomization') {
        const kustomization = object as Kustomization;
        return await parts.inTarget(kustomization, (target) => isAsApplied(kustomization, target));
      }
      if (object.kind === 'ArtifactGenerator') return await isGeneratedAsLeft(object, parts);
      const { artifact } = (object as SourceObject).status ?? {};
      return artifact === undefined || (await parts.store.verify(artifact));
    },
    async isBuilt(object, digest) {
      const unpacked = parts.unpacked.peek(digest);
      return unpacked !== undefined && (await parts.findBuilt(object, unpacked)) !== undefined;
    },
    async close() {
      stopRetention();
      await helm.close();
      await parts.events.flush();
      parts.events.close();
      await parts.targets.close();
      parts.caches.close();
    },
  };
}

type Parts = Awaited<ReturnType<typeof createParts>>;

async function createParts({ kube, config, log, artifacts, sealingKey }: EngineOptions) {
  const dataDirectory = config.CONTINUO_DATA_DIR;
  const { store, localStore } = artifacts;
  const onLost = (url: string): void =>
    void lostArtifacts.isIntact(new URL(url).pathname.slice(1)).catch(() => undefined);
  const from = { localStore, hostRewrite: config.SOURCE_CONTROLLER_LOCALHOST, onLost };
  const unpacked = createUnpackedArtifacts({ directory: join(dataDirectory, 'unpacked'), ...from });
  const readArtifact = createReadArtifact({ directory: join(dataDirectory, 'downloads'), ...from });
  const manifestStore = createManifestStore({
    store,
    sealer: createSealer(sealingKey),
    maxCachedBytes: manifestCacheBytes,
  });
  const caches = createWatchCaches(kube, { log });
  const objects = createFluxObjects(caches, parseLabelSelector(config.CONTINUO_WATCH_LABEL_SELECTOR));
  const lostArtifacts = createLostArtifacts({ objects, store });
  const labelSelector = config.CONTINUO_WATCH_CONFIGS_LABEL_SELECTOR;
  const references = createReferencedObjects({ client: kube, caches, labelSelector });
  const memory = createApplyMemory(store);
  const targets = createTargetClusters({
    home: kube,
    homeCaches: caches,
    remotes: createRemoteClusters({
      home: kube,
      references,
      rules: {
        isExecAllowed: config.CONTINUO_INSECURE_KUBECONFIG_EXEC,
        isInsecureTlsAllowed: config.CONTINUO_INSECURE_KUBECONFIG_TLS,
      },
      defaultServiceAccount: config.CONTINUO_DEFAULT_KUBECONFIG_SERVICE_ACCOUNT,
      log,
    }),
    defaultServiceAccount: config.CONTINUO_DEFAULT_SERVICE_ACCOUNT,
  });
  const events = createEventRecorder(kube, log);
  const temporaryDirectory = join(dataDirectory, 'build');
  mkdirSync(temporaryDirectory, { recursive: true, mode: 0o700 });
  await removeAbandoned(temporaryDirectory);
  const build = {
    kustomizeBinary: config.CONTINUO_KUSTOMIZE,
    kustomizeVersion: await kustomizeVersion(config.CONTINUO_KUSTOMIZE),
    noRemoteBases: config.CONTINUO_NO_REMOTE_BASES,
    decryption: {
      sopsBinary: config.CONTINUO_SOPS,
      ageSecret: namespacedName(config.CONTINUO_SOPS_AGE_SECRET),
      ambient: ambientEnvironment(process.env),
    },
    references,
    strictSubstitution: config.CONTINUO_STRICT_POST_BUILD_SUBSTITUTIONS,
    temporaryDirectory,
  };
  const kustomization = async (ref: NamespacedName) =>
    (await objects.get('Kustomization', ref)) as Kustomization | undefined;

  /** The inventory is the truth about what was applied; the memory knows versions and what was skipped. */
  const appliedObjects = async (inventoryKey: string): Promise<AppliedObject[]> => {
    const [, kind = '', namespace = '', name = ''] = inventoryKey.split('/');
    const { entries } = await memory.load({ kind, namespace, name });
    return (await readInventory(store, inventoryKey)).map((entry) => {
      const ref = refOfInventoryEntry(entry);
      const { resourceVersion, isSkipped } = entry as ReleaseInventoryEntry;
      const known = appliedObject(ref, entries.get(inventoryEntryOf(ref).id));
      return { ...known, ...(resourceVersion && { resourceVersion }), ...(isSkipped && { isSkipped }) };
    });
  };

  /** Looks at what a Kustomization has applied, where it has applied it. */
  const inTarget = async <T>(
    object: Kustomization,
    look: (target: TargetCluster & { memory: ApplyMemory }) => T | Promise<T>,
  ): Promise<T> => {
    const target = await targets.open(object);
    try {
      return await look({ ...target, memory });
    } finally {
      target.release();
    }
  };

  return {
    store,
    unpacked,
    lostArtifacts,
    readArtifact,
    manifestStore,
    manifests: manifestStore,
    caches,
    objects,
    writer: createObjectWriter({ client: kube, objects }),
    references,
    memory,
    targets,
    inTarget,
    events,
    build,
    findBuilt: createFindBuilt({ ...build, manifests: manifestStore }),
    kustomization,
    appliedObjects,
  };
}

function composeActivities({ kube, config }: EngineOptions, parts: Parts, helm: ReturnType<typeof composeHelm>) {
  const { store, objects, events, memory, kustomization, writer } = parts;
  const overrideManagers = listOf(config.CONTINUO_OVERRIDE_MANAGERS);

  const apply = createApplyActivities({
    targetOf: parts.targets.open,
    store,
    memory,
    kustomization,
    kustomizations: () => objects.list('Kustomization'),
    manifests: async (digest) => [...(await parts.manifests.get(digest))],
    options: {
      concurrency: config.CONTINUO_CONCURRENT_SSA,
      customStageKinds: listOf(config.CONTINUO_CUSTOM_APPLY_STAGE_KINDS),
      overrideManagers,
    },
  });

  /** False also for a cluster that cannot be looked at; the stage that works on it says why. */
  const whereReachable: typeof parts.inTarget<boolean> = async (object, look) => {
    try {
      return await parts.inTarget(object, look);
    } catch (error) {
      if (error instanceof ClusterError) return false;
      throw error;
    }
  };

  /** Health as the caches have it now, of what this Kustomization has applied. */
  const isHealthy = async (object: Kustomization): Promise<boolean> => {
    if (!hasHealthChecks(object)) return true;
    const { entries, resources } = await memory.load(ownerOfKustomization(object));
    const applied: AppliedObject[] = [];
    for (const entry of entries.values()) {
      const resource = resources.get(entry.type);
      if (!resource) return false;
      const { group, version, kind } = resource;
      applied.push(appliedObject({ group, version, kind, namespace: entry.namespace, name: entry.name }, entry));
    }
    return await whereReachable(object, (target) => healthNow({ ...target, scopeFor: appliedScope }, object, applied));
  };

  const applyManifests = async (input: Parameters<typeof apply.applyManifests>[0]) => {
    const applied = await apply.applyManifests(input);
    const object = await kustomization(input.kustomization);
    return { ...applied, isHealthy: object !== undefined && (await isHealthy(object)), isWaitTold: true };
  };

  const observing: ObserveDependencies = {
    objects,
    references: parts.references,
    unpacked: parts.unpacked,
    findBuilt: parts.findBuilt,
    isInSync: (object, digest) =>
      whereReachable(object, (target) => isInSync(object, digest, { ...target, overrideManagers })),
    isHealthy,
    expressionError: ({ spec }) => healthExpressionError(spec.healthCheckExprs ?? []),
    isCrossNamespaceAllowed: !config.CONTINUO_NO_CROSS_NAMESPACE_REFS,
    isExternalArtifactAllowed: config.CONTINUO_EXTERNAL_ARTIFACTS,
    readObject: (waiter, ref) => parts.targets.atHome(waiter).client.get(ref),
    isObjectHealthy: (object) => healthOf(object).status === 'Current',
    isReadyExprAdditive: config.CONTINUO_ADDITIVE_CEL_DEPENDENCY_CHECK,
  };

  return {
    ...createObserveActivities(observing),
    ...createObserveReleaseActivities({
      ...observing,
      references: parts.references,
      releaseExpressionError: ({ spec }) => healthExpressionError(spec.healthCheckExprs ?? []),
      isReleaseSettled: helm.isSettled,
      isChartAsWanted: helm.isChartAsWanted,
    }),
    ...beating(helm.activities),
    ...createHelmReleaseReport({ writer, events, readInventory: (key) => readInventory(store, key) }),
    ...createObjectActivities(writer),
    ...composeSources({ kube, config, ...parts }),
    ...composeGenerator({ ...observing, ...parts, kube, temporaryDirectory: parts.build.temporaryDirectory }),
    ...beating(createArtifactActivities({ unpacked: parts.unpacked })),
    ...beating(
      createBuildActivities({ ...parts.build, unpacked: parts.unpacked, manifests: parts.manifests, kustomization }),
    ),
    ...apply,
    applyManifests,
    rollbackManifests: applyManifests,
    async finalizeKustomization(input: Parameters<typeof apply.finalizeKustomization>[0]) {
      const object = await kustomization(input.kustomization);
      const finalized = await apply.finalizeKustomization(input);
      // The object goes all the same: the event is all that is left to tell of what was not deleted (contract 2.1).
      for (const message of object ? finalized.errors : []) {
        events.record({
          object: object as KubeObject,
          type: 'Warning',
          reason: 'PruneFailed',
          message,
          component: 'kustomize-controller',
        });
      }
      return finalized;
    },
    ...createKustomizationReport({ writer, events, readInventory: (key) => readInventory(store, key) }),
    ...createSourceReport({ writer, events, store }),
  };
}

/** What health needs to know of an object that was applied. */
function appliedObject(ref: ObjectRef, known: AppliedEntry | undefined): AppliedObject {
  return {
    ref,
    resourceVersion: known?.resourceVersion || undefined,
    isSkipped: known?.skip !== undefined && known.skip !== 'present',
    mayVanish: ref.kind === 'Job',
  };
}

async function kustomizeVersion(binary: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(binary, ['version'], { timeout: 10_000 });
    return stdout.trim();
  } catch (error) {
    throw new Error(
      `cannot run kustomize ("${binary}"): ${(error as Error).message}; set CONTINUO_KUSTOMIZE to its path`,
    );
  }
}

/** `namespace/name`; undefined when it is empty. */
function namespacedName(text: string): NamespacedName | undefined {
  const [namespace, name] = text.split('/');
  return namespace && name ? { namespace, name } : undefined;
}

function listOf(commaSeparated: string): string[] {
  return commaSeparated
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
