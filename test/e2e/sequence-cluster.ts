// What the model of a random sequence means in files, specs and objects, and what of it is seen in the cluster.
import { ownerOf } from '../../activities/apply/owner.ts';
import type { KubeClient, ResourceInfo } from '../../k8s/client.ts';
import { type KubeObject, refOfInventoryEntry } from '../../k8s/object.ts';
import { conditionOf, configMap, kustomization, statusOf } from './harness.ts';
import { appName, manifest } from './scenario.ts';
import {
  commonVariable,
  type Directory,
  type Expected,
  type ExpectedObject,
  type Fault,
  isWaiting,
  type Item,
  type KustomizationName,
  kustomizationNames,
  type KustomizationState,
  type Repository,
  sickItem,
  type Target,
} from './sequence-model.ts';

/** The namespaces of a sequence; the Kustomizations themselves are in `own`. */
export type Namespaces = Record<Target, string>;

export const valuesName = 'values';
export const editedAnnotation = 'example.com/edited';

/** The files of a repository by path. */
export function filesOf(repository: Repository): Record<string, string> {
  const files = Object.entries(repository).flatMap(([directory, { items, fault }]: [string, Directory]) => [
    ...items.map((item) => [`${directory}/${item.kind}-${item.name}.yaml`.toLowerCase(), manifestOf(item)]),
    ...(fault ? [[`${directory}/fault.yaml`, faultyFile(fault, directory.split('/')[0] as KustomizationName)]] : []),
  ]);
  return Object.fromEntries(files);
}

function manifestOf({ kind, name, value }: Item): string {
  const labels = { app: name };
  switch (kind) {
    case 'ConfigMap':
      return configMap(name, { v: String(value), common: commonVariable });
    case 'Service':
      return manifest('v1', kind, name, { spec: { ports: [{ port: portOf(value) }], selector: labels } });
    case 'Deployment':
      return manifest('apps/v1', kind, name, {
        spec: {
          replicas: 1,
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: { containers: [{ name: 'main', image: imageOf(value) }] } },
        },
      });
  }
}

function faultyFile(fault: Fault, name: KustomizationName): string {
  switch (fault) {
    case 'broken':
      return 'kind: [\n';
    case 'refused':
      return manifest('v1', 'Service', 'refused', { spec: { ports: [{ port: 0 }] } });
    case 'mistyped':
      return manifest('v1', 'ConfigMap', 'mistyped', { data: { v: 1 } });
    default:
      return configMap(sickItem(name).name, { v: '0', common: commonVariable, health: fault });
  }
}

const portOf = (value: number): number => 1_000 + value;
const imageOf = (value: number): string => `example/web:${value}`;

/** A Kustomization as it is created; a change of its state changes `spec.path` and `spec.targetNamespace`. */
export function kustomizationOf(
  name: KustomizationName,
  state: KustomizationState,
  namespaces: Namespaces,
): KubeObject {
  const health = {
    wait: true,
    healthCheckExprs: [
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        failed: 'has(data.health) && data.health == "failing"',
        current: '!has(data.health)',
      },
    ],
  };
  const dependent = {
    dependsOn: [{ name: 'base' }],
    postBuild: { substituteFrom: [{ kind: 'ConfigMap', name: valuesName }] },
  };
  const object = kustomization(namespaces.own, name, appName, {
    interval: '10s',
    retryInterval: '3s',
    timeout: '20s',
    ...(isWaiting(name) ? health : {}),
    ...(name === 'app' ? dependent : {}),
    ...placeOf(name, state, namespaces),
  });
  if (name === 'solo') object.metadata.annotations = { 'continuo.dev/rollback': 'enabled' };
  return object;
}

export function placeOf(name: KustomizationName, { variant, target }: KustomizationState, namespaces: Namespaces) {
  return { path: `./${name}/${variant}`, targetNamespace: namespaces[target] };
}

/** What a Kustomization says and what it has in the cluster, as lines that a person can compare. */
export interface Look {
  reason: string;
  isHeld: boolean;
  /** Empty unless it is in place. */
  revision: string;
  /** `Kind/own|other/name {fields}` of all objects with its owner labels, sorted. */
  objects: string[];
  /** `Kind/own|other/name` of the inventory, sorted. */
  inventory: string[];
}

export type Looks = Record<KustomizationName, Look>;

const succeeded = 'ReconciliationSucceeded';

/** How all is to look, with the revision of the last commit. */
export function wantedLooks(expected: Record<KustomizationName, Expected>, revision: string): Looks {
  return looksOf((name) => {
    const { reason, isHeld, objects } = expected[name];
    return {
      reason,
      isHeld,
      revision: reason === succeeded ? revision : '',
      objects: objects.map((object) => `${placeLine(object)} ${JSON.stringify(wantedFields(object, name))}`).sort(),
      inventory: objects.map(placeLine).sort(),
    };
  });
}

/** How all looks now; a Kustomization that does not exist has no reason. */
export async function seenLooks(client: KubeClient, namespaces: Namespaces): Promise<Looks> {
  const found = await appliedObjects(client, namespaces);
  const kustomizations = await client.list(kustomizationResource, { namespace: namespaces.own });
  return looksOf((name) => {
    const object = kustomizations.items.find(({ metadata }) => metadata.name === name);
    const { observedGeneration, lastAppliedRevision = '', inventory } = statusOf(object);
    const reason = conditionOf(object, 'Ready')?.reason ?? '';
    const isCurrent = reason === succeeded && observedGeneration === object?.metadata.generation;
    return {
      reason,
      isHeld: conditionOf(object, 'Remediated')?.status === 'True',
      revision: isCurrent ? lastAppliedRevision : '',
      objects: found
        .filter((one) => ownerOf(one)?.name === name)
        .map((one) => `${placeLine(placeIn(one, namespaces))} ${JSON.stringify(seenFields(one))}`)
        .sort(),
      inventory: (inventory?.entries ?? [])
        .map((entry) => refOfInventoryEntry(entry))
        .map(({ kind, namespace, name }) => placeLine(placeIn({ kind, metadata: { namespace, name } }, namespaces)))
        .sort(),
    };
  });
}

/** All objects that carry the owner labels of a Kustomization of the sequence, in a fixed order. */
export async function appliedObjects(client: KubeClient, namespaces: Namespaces): Promise<KubeObject[]> {
  const found: KubeObject[] = [];
  for (const resource of resources) {
    for (const namespace of Object.values(namespaces))
      found.push(...(await client.list(resource, { namespace })).items);
  }
  const owned = found.filter((object) => ownerOf(object)?.namespace === namespaces.own);
  return owned.sort((a, b) => (placeLine(placeIn(a, namespaces)) < placeLine(placeIn(b, namespaces)) ? -1 : 1));
}

function looksOf(look: (name: KustomizationName) => Look): Looks {
  return Object.fromEntries(kustomizationNames.map((name) => [name, look(name)])) as Looks;
}

function placeLine({ kind, target, name }: Pick<ExpectedObject, 'kind' | 'target' | 'name'>): string {
  return `${kind}/${target}/${name}`;
}

function placeIn({ kind, metadata }: Pick<KubeObject, 'kind' | 'metadata'>, namespaces: Namespaces) {
  const target: Target = metadata.namespace === namespaces.own ? 'own' : 'other';
  return { kind: kind as Item['kind'], target, name: metadata.name };
}

function wantedFields({ kind, name, value, common }: ExpectedObject, owner: KustomizationName): unknown {
  if (name === sickItem(owner).name) return { common, health: 'failing', v: '0' };
  if (kind === 'ConfigMap') return { common, v: String(value) };
  if (kind === 'Service') return { ports: [portOf(value)], selector: { app: name } };
  return { images: [imageOf(value)], replicas: 1 };
}

interface LiveSpec {
  ports?: { port: number }[];
  selector?: object;
  replicas?: number;
  template?: { spec: { containers: { image: string }[] } };
}

/** The fields that the repository sets, and the mark of an edit that must not stay. */
function seenFields({ kind, metadata, data, spec = {} }: KubeObject): unknown {
  const edited = metadata.annotations?.[editedAnnotation] ? { edited: true } : {};
  const { ports = [], selector, replicas, template } = spec as LiveSpec;
  if (kind === 'ConfigMap') {
    return { ...Object.fromEntries(Object.entries((data ?? {}) as Record<string, string>).sort()), ...edited };
  }
  if (kind === 'Service') return { ports: ports.map(({ port }) => port), selector, ...edited };
  return { images: template?.spec.containers.map(({ image }) => image), replicas, ...edited };
}

/** A change that a person might make by hand: of a field that the repository sets, or of one that it does not. */
export function editOf({ kind }: KubeObject, how: 'value' | 'extra' | 'owner'): object {
  if (how === 'extra') return { metadata: { annotations: { [editedAnnotation]: 'true' } } };
  if (how === 'owner') return { metadata: { labels: { 'kustomize.toolkit.fluxcd.io/name': null } } };
  if (kind === 'ConfigMap') return { data: { v: 'edited', more: 'edited' } };
  return { spec: kind === 'Service' ? { selector: { app: 'edited' } } : { replicas: 2 } };
}

const resourceOf = (group: string, kind: string, resource: string): ResourceInfo => {
  return { group, version: 'v1', kind, resource, namespaced: true };
};
const resources = [
  resourceOf('', 'ConfigMap', 'configmaps'),
  resourceOf('', 'Service', 'services'),
  resourceOf('apps', 'Deployment', 'deployments'),
];
const kustomizationResource = resourceOf('kustomize.toolkit.fluxcd.io', 'Kustomization', 'kustomizations');
