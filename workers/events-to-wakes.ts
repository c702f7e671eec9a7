// What a change of one of our own objects means: pure rules. Our own status writes wake nobody.
import { requestedAtAnnotation } from '../k8s/api/annotations.ts';
import type { GitRepository } from '../k8s/api/git-repository.ts';
import type { Kustomization } from '../k8s/api/kustomization.ts';
import type { KubeObject } from '../k8s/object.ts';
import type { CacheEvent } from '../k8s/watch-cache.ts';
import type { WakeReason } from '../workflows/messages.ts';

/** Why the object's own workflow is to be woken; undefined: not at all. */
export function wakeOf(event: CacheEvent): WakeReason | undefined {
  const { object, previous } = event;
  const { resourceVersion } = object.metadata;
  if (event.type === 'DELETED') return { type: 'deleted' };
  if (!previous) return { type: 'created', resourceVersion };
  const is = object.metadata;
  const was = previous.metadata;
  if (is.uid !== was.uid) return { type: 'created', resourceVersion };
  if (is.deletionTimestamp && !was.deletionTimestamp) return { type: 'deleted', resourceVersion };
  if (is.generation !== was.generation) return { type: 'spec', resourceVersion };
  const request = is.annotations?.[requestedAtAnnotation];
  if (request !== undefined && request !== was.annotations?.[requestedAtAnnotation]) {
    return { type: 'request', resourceVersion };
  }
  return undefined;
}

/** True when consumers of a source have something new to look at. */
export function hasNewArtifact(event: CacheEvent): boolean {
  const is = (event.object as GitRepository).status?.artifact;
  const was = (event.previous as GitRepository | undefined)?.status?.artifact;
  if (event.type === 'DELETED') return true;
  return is !== undefined && (is.revision !== was?.revision || is.digest !== was?.digest || is.url !== was?.url);
}

/** True when a Kustomization reconciles from a source. */
export function isConsumerOf(object: KubeObject, source: KubeObject): boolean {
  const { sourceRef } = (object as Kustomization).spec;
  return (
    sourceRef.kind === source.kind &&
    sourceRef.name === source.metadata.name &&
    (sourceRef.namespace ?? object.metadata.namespace) === source.metadata.namespace
  );
}
