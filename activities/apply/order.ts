// The order in which objects are applied and deleted (contract 2.1, "stages" and "order inside a stage").
import { type KubeObject, type ObjectRef, refOf } from '../../k8s/object.ts';

const firstStage = new Set(['CustomResourceDefinition', 'Namespace', 'ClusterRole']);

const firstKinds = [
  'CustomResourceDefinition',
  'Namespace',
  'ClusterRole',
  'ClusterClass',
  'RuntimeClass',
  'PriorityClass',
  'StorageClass',
  'VolumeSnapshotClass',
  'IngressClass',
  'GatewayClass',
  'ClusterRoleBinding',
  'ResourceQuota',
  'ServiceAccount',
  'Role',
  'RoleBinding',
  'ConfigMap',
  'Secret',
  'Service',
  'LimitRange',
  'Deployment',
  'StatefulSet',
  'CronJob',
  'PodDisruptionBudget',
];
const lastKinds = ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'];

const ranks = new Map<string, number>([
  ...firstKinds.map((kind, index): [string, number] => [kind, index]),
  ...lastKinds.map((kind, index): [string, number] => [kind, firstKinds.length + 1 + index]),
]);

/** Where a kind stands inside its stage; kinds of one rank do not wait for each other. */
export function kindRank(kind: string): number {
  return ranks.get(kind) ?? firstKinds.length;
}

/** The stage of a kind, 0 to 3; `customStageKinds` (`--custom-apply-stage-kinds`) names kinds or `group/Kind`. */
export function stageOf(ref: Pick<ObjectRef, 'group' | 'kind'>, customStageKinds: readonly string[] = []): number {
  if (firstStage.has(ref.kind)) return 0;
  if (ref.kind.endsWith('Class')) return 1;
  if (customStageKinds.includes(ref.kind) || customStageKinds.includes(`${ref.group}/${ref.kind}`)) return 2;
  return 3;
}

/** Compares two references in the order of application. */
export function compareForApply(a: ObjectRef, b: ObjectRef): number {
  return (
    kindRank(a.kind) - kindRank(b.kind) ||
    compareText(a.group, b.group) ||
    compareText(a.kind, b.kind) ||
    compareText(a.namespace, b.namespace) ||
    compareText(a.name, b.name)
  );
}

/** The objects as stages, each in order; a stage without objects is left out. */
export function splitIntoStages(
  objects: readonly KubeObject[],
  customStageKinds: readonly string[] = [],
): KubeObject[][] {
  const stages: KubeObject[][] = [[], [], [], []];
  for (const object of objects) stages[stageOf(refOf(object), customStageKinds)]?.push(object);
  for (const stage of stages) stage.sort((a, b) => compareForApply(refOf(a), refOf(b)));
  return stages.filter((stage) => stage.length > 0);
}

/** References in the order of deletion: the reverse of stages and of the order inside them, in groups of one rank. */
export function deletionGroups(refs: readonly ObjectRef[], customStageKinds: readonly string[] = []): ObjectRef[][] {
  const stage = (ref: ObjectRef): number => stageOf(ref, customStageKinds);
  const sorted = [...refs].sort((a, b) => stage(b) - stage(a) || compareForApply(b, a));
  return groupBy(sorted, (ref) => `${stage(ref)} ${kindRank(ref.kind)}`);
}

/** Splits a sorted list where the key changes. */
export function groupBy<T>(sorted: readonly T[], keyOf: (item: T) => string | number): T[][] {
  const groups: T[][] = [];
  let lastKey: string | number | undefined;
  for (const item of sorted) {
    const key = keyOf(item);
    if (groups.length > 0 && key === lastKey) groups.at(-1)?.push(item);
    else groups.push([item]);
    lastKey = key;
  }
  return groups;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
