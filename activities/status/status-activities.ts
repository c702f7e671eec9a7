// Report: what a pass found out becomes status, conditions and events. One status patch a reconcile, none when nothing
// is new; what a person asked for is echoed in the same patch as the final Ready (contract 3, 8).
import { generatorReconcileAnnotation, requestedAtAnnotation } from '../../k8s/api/annotations.ts';
import { fluxFinalizer } from '../../k8s/api/definition.ts';
import { kinds } from '../../k8s/api/index.ts';
import type { KubeClient } from '../../k8s/client.ts';
import { KubeApiError } from '../../k8s/client.ts';
import type { FluxObjects, WatchedKind } from '../../k8s/flux-objects.ts';
import { mergePatch } from '../../k8s/merge-patch.ts';
import { type KubeObject, type NamespacedName, refOf } from '../../k8s/object.ts';
import { isStatic } from '../../k8s/static-objects.ts';
import type { ReconciledRef } from '../../workflows/messages.ts';
import { progressWishes, withConditions } from './conditions.ts';

export interface StatusDependencies {
  client: KubeClient;
  objects: FluxObjects;
}

/** Field owners of what we write on our own objects (contract 1.0, "Patching"). */
const statusManagers: Record<WatchedKind, string> = {
  GitRepository: 'source-controller',
  OCIRepository: 'source-controller',
  HelmRepository: 'source-controller',
  HelmChart: 'source-controller',
  Bucket: 'source-controller',
  ExternalArtifact: 'source-watcher',
  ArtifactGenerator: 'source-watcher',
  Kustomization: 'gotk-kustomize-controller',
  HelmRelease: 'helm-controller',
};

/** Writing to our own objects. An object that is gone meanwhile needs no write: every method is content with it. */
export interface ObjectWriter {
  /** Turns the object's status into `next`; sends nothing when it is so already. */
  writeStatus(object: KubeObject, next: object): Promise<void>;
  patchObject(kind: WatchedKind, ref: NamespacedName, body: object): Promise<void>;
  find(kind: WatchedKind, ref: NamespacedName): Promise<KubeObject | undefined>;
}

export function createObjectWriter({ client, objects }: StatusDependencies): ObjectWriter {
  const send = async (object: KubeObject, body: object, subresource?: 'status'): Promise<void> => {
    const fieldManager = statusManagers[object.kind as WatchedKind];
    try {
      objects.learn(await client.patch(refOf(object), body, { type: 'merge', fieldManager, subresource }));
    } catch (error) {
      if (!(error instanceof KubeApiError) || error.status !== 404) throw error;
    }
  };
  return {
    find: (kind, ref) => objects.get(kind, ref),
    async writeStatus(object, next) {
      const status = mergePatch((object.status ?? {}) as Record<string, unknown>, next as Record<string, unknown>);
      if (status) await send(object, { status }, 'status');
    },
    async patchObject(kind, ref, body) {
      const object = await objects.get(kind, ref);
      if (object) await send(object, body);
    },
  };
}

export type ObjectActivities = ReturnType<typeof createObjectActivities>;

/** What every kind needs done to its object. */
export function createObjectActivities(writer: ObjectWriter) {
  return {
    async addFinalizer({ ref }: { ref: ReconciledRef }): Promise<void> {
      const object = await writer.find(ref.kind, ref);
      const finalizers = object?.metadata.finalizers ?? [];
      const finalizer = finalizerOf(ref);
      if (!object || object.metadata.deletionTimestamp || finalizers.includes(finalizer)) return;
      const { resourceVersion } = object.metadata;
      // With the resourceVersion, so that nobody else's finalizer is lost: a conflict is tried again.
      await writer.patchObject(ref.kind, ref, {
        metadata: { finalizers: [...finalizers, finalizer], resourceVersion },
      });
    },

    async removeFinalizer({ ref }: { ref: ReconciledRef }): Promise<void> {
      const before = await writer.find(ref.kind, ref);
      // What has become static stays, without a status (contract 1.0, "Finalizers").
      if (before && isStatic(before) && !before.metadata.deletionTimestamp) await writer.writeStatus(before, {});
      const object = await writer.find(ref.kind, ref);
      const finalizers = object?.metadata.finalizers ?? [];
      const finalizer = finalizerOf(ref);
      if (!object || !finalizers.includes(finalizer)) return;
      const { resourceVersion } = object.metadata;
      const rest = finalizers.filter((name) => name !== finalizer);
      await writer.patchObject(ref.kind, ref, { metadata: { finalizers: rest, resourceVersion } });
    },

    async requestReconcile({ ref, request }: { ref: ReconciledRef; request: string }): Promise<void> {
      await writer.patchObject(ref.kind, ref, { metadata: { annotations: { [requestedAtAnnotation]: request } } });
    },

    async setSuspended({ ref, isSuspended }: { ref: ReconciledRef; isSuspended: boolean }): Promise<void> {
      const annotations = { [generatorReconcileAnnotation]: isSuspended ? 'disabled' : null };
      const body = ref.kind === 'ArtifactGenerator' ? { metadata: { annotations } } : undefined;
      await writer.patchObject(ref.kind, ref, body ?? { spec: { suspend: isSuspended ? true : null } });
    },

    /** A suspended object answers a request without work (contract 1.0). */
    async echoRequest({ ref, request }: { ref: ReconciledRef; request: string }): Promise<void> {
      const object = await writer.find(ref.kind, ref);
      if (object) await writer.writeStatus(object, { ...(object.status as object), lastHandledReconcileAt: request });
    },

    /** Says which stage a reconcile is in, for one that takes long enough to be looked at. */
    async reportProgress({ ref, message }: { ref: ReconciledRef; message: string }): Promise<void> {
      const object = await writer.find(ref.kind, ref);
      if (!object || object.metadata.deletionTimestamp) return;
      const status = (object.status ?? {}) as { conditions?: [] };
      const generation = object.metadata.generation ?? 1;
      const now = isoSeconds(Date.now());
      const conditions = withConditions(status.conditions, progressWishes(message), ['Stalled'], generation, now);
      await writer.writeStatus(object, { ...status, conditions });
    },
  };
}

function finalizerOf({ kind }: ReconciledRef): string {
  return kinds[kind].finalizer ?? fluxFinalizer;
}

/** metav1.Time has whole seconds. */
export function isoSeconds(epochMs: number): string {
  return new Date(epochMs).toISOString().replace(/\.\d+Z$/, 'Z');
}
