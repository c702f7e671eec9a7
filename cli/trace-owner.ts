// Who has put an object into the cluster: by the labels of what was applied, on it or on what owns it.
import type { KubeClient } from '../k8s/client.ts';
import { type KubeObject, type ObjectRef, refOf, splitApiVersion } from '../k8s/object.ts';
import { kinds } from '../k8s/api/index.ts';

/** The Kustomization or HelmRelease that has applied something. */
export interface Applier {
  kind: 'Kustomization' | 'HelmRelease';
  namespace: string;
  name: string;
}

/** An object on the way from the one that is traced up to the one that carries the labels. */
export interface TracedOwner {
  applier: Applier | undefined;
  /** The object that carries the labels; the last one of the way when none does. */
  object: KubeObject;
  /** What owns the object, nearest first, without the object itself. */
  owners: ObjectRef[];
}

/** A chain of owners is short; one that goes in circles ends. */
const maxOwners = 10;

/** The applier that an object's labels name (contract 2.1 and 2.2, "owner labels"). */
export function applierOf({ metadata }: Pick<KubeObject, 'metadata'>): Applier | undefined {
  for (const kind of ['HelmRelease', 'Kustomization'] as const) {
    const { group } = kinds[kind];
    const name = metadata.labels?.[`${group}/name`];
    const namespace = metadata.labels?.[`${group}/namespace`];
    if (name && namespace) return { kind, namespace, name };
  }
  return undefined;
}

/** Goes from an object to its owners until one carries the labels of an applier. */
export async function traceOwner(kube: KubeClient, start: KubeObject): Promise<TracedOwner> {
  const owners: ObjectRef[] = [];
  let object = start;
  while (owners.length < maxOwners) {
    const applier = applierOf(object);
    if (applier) return { applier, object, owners };
    const { ownerReferences = [], namespace = '' } = object.metadata;
    const reference = ownerReferences.find(({ controller }) => controller) ?? ownerReferences[0];
    if (!reference) break;
    const { group, version } = splitApiVersion(reference.apiVersion);
    const resource = await kube.resourceFor(group, version, reference.kind);
    const at = resource?.namespaced === false ? '' : namespace;
    const owner = await kube.get({ group, version, kind: reference.kind, namespace: at, name: reference.name });
    if (!owner || owner.metadata.uid !== reference.uid) break;
    owners.push(refOf(owner));
    object = owner;
  }
  return { applier: undefined, object, owners };
}
