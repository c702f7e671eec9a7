// Any kind of a cluster by the words that kubectl knows for it: ours, those that Kubernetes brings, and those that
// CustomResourceDefinitions bring.
import { type KindDefinition, resourceOf } from '../k8s/api/definition.ts';
import type { KubeClient, ResourceInfo } from '../k8s/client.ts';
import { type KubeObject, type ObjectRef, splitApiVersion } from '../k8s/object.ts';
import { CommandError, usageError } from './exit.ts';
import { kindOf } from './kinds.ts';

/** What words name: a kind, as a word or a definition of ours, and the names of objects of it. */
export interface NamedObject {
  kind: string | KindDefinition;
  name: string;
}

/** `<group>/<Kind> <plural> <short names…>`, the singular is the kind in lower case. */
const builtIn = [
  '/Pod pods po',
  '/Service services svc',
  '/ConfigMap configmaps cm',
  '/Secret secrets',
  '/Namespace namespaces ns',
  '/Node nodes no',
  '/ServiceAccount serviceaccounts sa',
  '/PersistentVolume persistentvolumes pv',
  '/PersistentVolumeClaim persistentvolumeclaims pvc',
  '/Endpoints endpoints ep',
  '/LimitRange limitranges limits',
  '/ResourceQuota resourcequotas quota',
  '/ReplicationController replicationcontrollers rc',
  'apps/Deployment deployments deploy',
  'apps/StatefulSet statefulsets sts',
  'apps/DaemonSet daemonsets ds',
  'apps/ReplicaSet replicasets rs',
  'batch/Job jobs',
  'batch/CronJob cronjobs cj',
  'autoscaling/HorizontalPodAutoscaler horizontalpodautoscalers hpa',
  'policy/PodDisruptionBudget poddisruptionbudgets pdb',
  'networking.k8s.io/Ingress ingresses ing',
  'networking.k8s.io/IngressClass ingressclasses',
  'networking.k8s.io/NetworkPolicy networkpolicies netpol',
  'discovery.k8s.io/EndpointSlice endpointslices',
  'rbac.authorization.k8s.io/Role roles',
  'rbac.authorization.k8s.io/RoleBinding rolebindings',
  'rbac.authorization.k8s.io/ClusterRole clusterroles',
  'rbac.authorization.k8s.io/ClusterRoleBinding clusterrolebindings',
  'storage.k8s.io/StorageClass storageclasses sc',
  'scheduling.k8s.io/PriorityClass priorityclasses pc',
  'apiextensions.k8s.io/CustomResourceDefinition customresourcedefinitions crd crds',
  'apiregistration.k8s.io/APIService apiservices',
  'admissionregistration.k8s.io/MutatingWebhookConfiguration mutatingwebhookconfigurations',
  'admissionregistration.k8s.io/ValidatingWebhookConfiguration validatingwebhookconfigurations',
  'coordination.k8s.io/Lease leases',
];

interface GroupKind {
  group: string;
  kind: string;
}

const builtInOfWord = new Map<string, GroupKind>();
for (const row of builtIn) {
  const [type = '', plural = '', ...short] = row.split(' ');
  const { group, version: kind } = splitApiVersion(type);
  for (const word of [kind.toLowerCase(), plural, ...short, ...(group ? [`${plural}.${group}`] : [])]) {
    builtInOfWord.set(word, { group, kind });
  }
}

/** Reads `deploy web`, `deploy/web cm/page`, `source git demo`, `ks demo other`. Throws a usage error without a name. */
export function parseAnyTarget(words: readonly string[]): NamedObject[] {
  const [first = '', second = '', ...rest] = words;
  if (words.some((word) => word.includes('/'))) return words.map(parseSlash);
  const pair = kindOf(`${first} ${second}`);
  const [kind, names] = pair ? [pair, rest] : [kindOf(first) ?? first, words.slice(1)];
  if (names.length > 0) return names.map((name) => ({ kind, name }));
  throw usageError('expected a kind and a name, such as "deployment web" or "deploy/web"');
}

function parseSlash(word: string): NamedObject {
  const [kind, name, ...rest] = word.split('/');
  if (kind && name && rest.length === 0) return { kind: kindOf(kind) ?? kind, name };
  throw usageError(`expected "<kind>/<name>" such as "deploy/web", got "${word}"`);
}

/** How the server addresses a kind. Throws a {@link CommandError} for one that it does not serve. */
export async function anyResource(kube: KubeClient, kind: string | KindDefinition): Promise<ResourceInfo> {
  const { group, kind: name } = typeof kind === 'string' ? await groupKindOf(kube, kind) : resourceOf(kind);
  const resource = await kube.resourceFor(group, '', name);
  if (resource) return resource;
  throw new CommandError(`kind ${name}${group && ` of ${group}`} is not served by this cluster (NoKindMatch)`);
}

/** The reference of an object of a kind; a cluster-scoped one has no namespace. */
export function refIn(resource: ResourceInfo, namespace: string, name: string): ObjectRef {
  const { group, version, kind, namespaced } = resource;
  return { group, version, kind, namespace: namespaced ? namespace : '', name };
}

const definitionResource: ResourceInfo = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  resource: 'customresourcedefinitions',
  namespaced: false,
};

interface CustomResourceDefinition extends KubeObject {
  spec: { group: string; names: { kind: string; plural: string; singular?: string; shortNames?: string[] } };
}

async function groupKindOf(kube: KubeClient, word: string): Promise<GroupKind> {
  const wanted = word.toLowerCase();
  const known = builtInOfWord.get(wanted);
  if (known) return known;
  const { items } = await kube.list(definitionResource);
  for (const { spec } of items as CustomResourceDefinition[]) {
    const { kind, plural, singular, shortNames = [] } = spec.names;
    const words = [kind.toLowerCase(), plural, singular, ...shortNames, `${plural}.${spec.group}`];
    if (words.includes(wanted)) return { group: spec.group, kind };
  }
  throw usageError(`unknown kind "${word}": the cluster has no such kind; name it with --kind and --api-version`);
}
