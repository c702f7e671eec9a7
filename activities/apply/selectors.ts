// The per-object switches (contract 2.1): annotation or label, on the desired or the live object, any letter case.
import type { KubeObject } from '../../k8s/object.ts';

const prefix = 'kustomize.toolkit.fluxcd.io';

type WithMetadata = Pick<KubeObject, 'metadata'>;

/** True when an annotation or a label has a value, whatever the case of its letters. */
export function hasSwitch(object: WithMetadata | undefined, name: string, value: string): boolean {
  const key = `${prefix}/${name}`;
  const { annotations, labels } = object?.metadata ?? {};
  return [annotations?.[key], labels?.[key]].some((found) => found?.toLowerCase() === value.toLowerCase());
}

/** Never touched by apply: `reconcile: disabled` or `ssa: Ignore`, on either object. */
export function isApplyDisabled(...objects: Array<WithMetadata | undefined>): boolean {
  return objects.some((object) => hasSwitch(object, 'reconcile', 'disabled') || hasSwitch(object, 'ssa', 'Ignore'));
}

/** Created when missing and left alone from then on: `ssa: IfNotPresent`. */
export function isCreateOnly(...objects: Array<WithMetadata | undefined>): boolean {
  return objects.some((object) => hasSwitch(object, 'ssa', 'IfNotPresent'));
}

/** Others may own fields together with us, so no manager is removed: `ssa: Merge`. */
export function isMerge(...objects: Array<WithMetadata | undefined>): boolean {
  return objects.some((object) => hasSwitch(object, 'ssa', 'Merge'));
}

/** May be deleted and created again when a field cannot be changed: `force: enabled`. */
export function isForceEnabled(...objects: Array<WithMetadata | undefined>): boolean {
  return objects.some((object) => hasSwitch(object, 'force', 'enabled'));
}

/** Never deleted by garbage collection. */
export function isPruneDisabled(object: WithMetadata): boolean {
  return hasSwitch(object, 'prune', 'disabled') || isApplyDisabled(object);
}
