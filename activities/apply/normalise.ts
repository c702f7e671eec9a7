// What is sent for a desired object: normalised as the contract says (2.1), with the owner's labels and the common
// metadata. The input is never changed.
import type { KubeObject } from '../../k8s/object.ts';
import { staleAnnotations, staleLabels } from './field-managers.ts';
import { type ApplyOwner, ownerLabels } from './owner.ts';

/** `spec.commonMetadata` of a Kustomization. */
export interface CommonMetadata {
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

type Json = Record<string, unknown>;

/** Where a workload keeps its pod spec. */
const podSpecPaths: Record<string, string[]> = {
  'v1/Pod': ['spec'],
  'apps/v1/Deployment': ['spec', 'template', 'spec'],
  'apps/v1/StatefulSet': ['spec', 'template', 'spec'],
  'apps/v1/DaemonSet': ['spec', 'template', 'spec'],
  'apps/v1/ReplicaSet': ['spec', 'template', 'spec'],
  'batch/v1/Job': ['spec', 'template', 'spec'],
  'batch/v1/CronJob': ['spec', 'jobTemplate', 'spec', 'template', 'spec'],
};

/** The object as it is applied for an owner. */
export function normaliseObject(object: KubeObject, owner: ApplyOwner, common: CommonMetadata = {}): KubeObject {
  const copy = structuredClone(object);
  const { creationTimestamp: _, managedFields: __, ...metadata } = copy.metadata;
  const annotations = { ...metadata.annotations, ...common.annotations };
  const labels = { ...metadata.labels, ...common.labels, ...ownerLabels(owner) };
  for (const key of staleAnnotations) delete annotations[key];
  for (const key of staleLabels) delete labels[key];
  delete metadata.annotations;
  copy.metadata = {
    ...metadata,
    labels,
    ...(Object.keys(annotations).length > 0 && { annotations }),
  };
  if (copy.kind !== 'CustomResourceDefinition') delete copy.status;
  const type = `${copy.apiVersion}/${copy.kind}`;
  if (type === 'v1/Service') addProtocol(at(copy, ['spec'])?.ports);
  if (type === 'v1/Secret') foldStringData(copy);
  const podSpec = podSpecPaths[type] && at(copy, podSpecPaths[type]);
  for (const field of ['containers', 'initContainers', 'ephemeralContainers']) {
    const containers = podSpec?.[field];
    if (Array.isArray(containers)) for (const container of containers) addProtocol((container as Json | null)?.ports);
  }
  return copy;
}

/** Ports without a protocol are TCP; said, because it is part of the key of the list (contract 2.1). */
function addProtocol(ports: unknown): void {
  if (!Array.isArray(ports)) return;
  for (const port of ports as Array<Json | null>) {
    if (port && typeof port === 'object') port.protocol ||= 'TCP';
  }
}

function foldStringData(secret: KubeObject): void {
  const { stringData } = secret;
  if (typeof stringData !== 'object' || stringData === null) return;
  const data: Json = { ...(secret.data as Json | undefined) };
  for (const [key, value] of Object.entries(stringData)) {
    // A value that is no string stays where it is, so that the server refuses it by its name.
    if (typeof value !== 'string') return;
    data[key] = Buffer.from(value, 'utf8').toString('base64');
  }
  secret.data = data;
  delete secret.stringData;
}

function at(object: Json, path: string[]): Json | undefined {
  let value: unknown = object;
  for (const step of path) value = typeof value === 'object' && value !== null ? (value as Json)[step] : undefined;
  return typeof value === 'object' && value !== null ? (value as Json) : undefined;
}
