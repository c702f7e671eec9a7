// Whose object it is: the labels that every applied object carries (contract 2.1, "owner labels").
import type { KubeObject, NamespacedName } from '../../k8s/object.ts';

/** The object that applies: a Kustomization, or another kind of ours that applies manifests. */
export interface ApplyOwner extends NamespacedName {
  kind: string;
}

const prefix = 'kustomize.toolkit.fluxcd.io';
export const ownerNameLabel = `${prefix}/name`;
export const ownerNamespaceLabel = `${prefix}/namespace`;

/** The two labels of an owner. */
export function ownerLabels(owner: NamespacedName): Record<string, string> {
  return { [ownerNameLabel]: owner.name, [ownerNamespaceLabel]: owner.namespace };
}

/** The owner that an object's labels name, if any. */
export function ownerOf(object: Pick<KubeObject, 'metadata'>): ApplyOwner | undefined {
  const name = object.metadata.labels?.[ownerNameLabel];
  const namespace = object.metadata.labels?.[ownerNamespaceLabel];
  return name && namespace ? { kind: 'Kustomization', namespace, name } : undefined;
}

/** True when an object carries exactly this owner's labels. */
export function isOwnedBy(object: Pick<KubeObject, 'metadata'>, owner: NamespacedName): boolean {
  const found = ownerOf(object);
  return found?.name === owner.name && found.namespace === owner.namespace;
}

/** The key of an owner in maps, and the path of its blobs. */
export function ownerKey(owner: ApplyOwner): string {
  return `${owner.kind.toLowerCase()}/${owner.namespace}/${owner.name}`;
}
