// One test's world: a namespace, a repository, a GitRepository and Kustomizations of it, and what is looked at there.
import type { KubeClient } from '../../k8s/client.ts';
import { type KubeObject, type ObjectRef, refOf, splitApiVersion } from '../../k8s/object.ts';
import {
  conditionOf,
  createNamespace,
  createRepository,
  eventually,
  type FluxStatus,
  gitRepository,
  kustomization,
  requestReconcile,
  statusOf,
  type TestRepository,
} from './harness.ts';

/** A core/v1 Event, as far as the tests read it. */
export interface TestEvent {
  type: string;
  reason: string;
  message: string;
  annotations: Record<string, string>;
  count: number;
}

export interface Scenario {
  client: KubeClient;
  namespace: string;
  repository: TestRepository;
  /** Commits and pushes; gives the revision as a status names it. */
  commit(files: Record<string, string | null>, message?: string): string;
  /** Commits, pushes, and asks the source to look, as a webhook would. */
  push(files: Record<string, string | null>, message?: string): Promise<string>;
  createSource(spec?: object): Promise<KubeObject>;
  createKustomization(spec?: object, name?: string): Promise<KubeObject>;
  source(): Promise<KubeObject>;
  kustomization(name?: string): Promise<KubeObject>;
  /** An object of the scenario's namespace; undefined when it does not exist. */
  find(apiVersion: string, kind: string, name: string): Promise<KubeObject | undefined>;
  configMap(name: string): Promise<KubeObject | undefined>;
  /** Merges a patch into a Kustomization or the source. */
  patch(object: KubeObject, body: object, fieldManager?: string): Promise<KubeObject>;
  /** Waits until a Kustomization is Ready with a revision applied; gives it. */
  applied(revision: string, name?: string, timeoutMs?: number): Promise<KubeObject>;
  /** Waits until Ready is False for a reason (of the Kustomization, or of another object); gives the message. */
  refused(reason: string, look?: () => Promise<KubeObject>, timeoutMs?: number): Promise<string>;
  /** The events of an object, oldest first. */
  events(object: KubeObject): Promise<TestEvent[]>;
}

/** The name of every scenario's source and of its first Kustomization. */
export const appName = 'app';

/** A repository with these files in a namespace of its own; nothing is created in the cluster besides the namespace. */
export async function createScenario(
  client: KubeClient,
  prefix: string,
  files: Record<string, string>,
): Promise<Scenario> {
  const namespace = await createNamespace(client, prefix);
  const repository = createRepository(namespace);
  const revisionOf = (commit: string): string => `main@sha1:${commit}`;
  if (Object.keys(files).length > 0) repository.commit(files);

  const find: Scenario['find'] = (apiVersion, kind, name) =>
    client.get({ ...splitApiVersion(apiVersion), kind, namespace, name });
  const mustFind = async (ref: ObjectRef): Promise<KubeObject> => {
    const object = await client.get(ref);
    if (!object) throw new Error(`${ref.kind} ${ref.namespace}/${ref.name} does not exist`);
    return object;
  };
  const source = (): Promise<KubeObject> => mustFind(refOf(gitRepository(namespace, appName, '')));
  const kustomizationNamed = (name = appName): Promise<KubeObject> =>
    mustFind(refOf(kustomization(namespace, name, appName)));
  const commit: Scenario['commit'] = (changed, message) => revisionOf(repository.commit(changed, message));

  return {
    client,
    namespace,
    repository,
    commit,
    async push(changed, message) {
      const revision = commit(changed, message);
      await requestReconcile(client, await source());
      return revision;
    },
    createSource: (spec = {}) => client.create(gitRepository(namespace, appName, repository.url, spec)),
    createKustomization: (spec = {}, name = appName) => client.create(kustomization(namespace, name, appName, spec)),
    source,
    kustomization: kustomizationNamed,
    find,
    configMap: (name) => find('v1', 'ConfigMap', name),
    patch: (object, body, fieldManager) => client.patch(refOf(object), body, { type: 'merge', fieldManager }),
    async applied(revision, name = appName, timeoutMs = 45_000) {
      let seen: KubeObject | undefined;
      return await eventually(
        `Kustomization ${namespace}/${name} to be Ready at ${revision}`,
        async () => {
          seen = await kustomizationNamed(name);
          const { observedGeneration, lastAppliedRevision, conditions } = statusOf(seen);
          const ready = conditionOf(seen, 'Ready');
          const isThere = ready?.status === 'True' && observedGeneration === seen.metadata.generation;
          if (isThere && lastAppliedRevision === revision) return seen;
          throw new Error(JSON.stringify(conditions ?? 'no conditions'));
        },
        timeoutMs,
      );
    },
    async refused(reason, look = kustomizationNamed, timeoutMs = 45_000) {
      return await eventually(
        `Ready=False with reason ${reason} in ${namespace}`,
        async () => {
          const ready = conditionOf(await look(), 'Ready');
          if (ready?.status === 'False' && ready.reason === reason) return ready.message;
          throw new Error(JSON.stringify(ready ?? 'no condition Ready'));
        },
        timeoutMs,
      );
    },
    async events({ kind, metadata }) {
      const resource = await client.resourceFor('', 'v1', 'Event');
      if (!resource) throw new Error('the API server has no events');
      const fieldSelector = `involvedObject.kind=${kind},involvedObject.name=${metadata.name}`;
      const { items } = await client.list(resource, { namespace, fieldSelector });
      return items
        .sort((a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion))
        .map((item) => {
          const { type, reason, message, count } = item as unknown as TestEvent;
          return { type, reason, message, count, annotations: item.metadata.annotations ?? {} };
        });
    },
  };
}

/** A scenario whose source and Kustomization are Ready with the first commit. */
export async function createAppliedScenario(
  client: KubeClient,
  prefix: string,
  files: Record<string, string>,
  spec: { source?: object; kustomization?: object } = {},
): Promise<Scenario & { first: string }> {
  const scenario = await createScenario(client, prefix, {});
  const first = scenario.commit(files);
  await scenario.createSource(spec.source);
  await scenario.createKustomization(spec.kustomization);
  await scenario.applied(first);
  return { ...scenario, first };
}

/** Keys of the inventory's entries, sorted. */
export function inventoryOf(object: KubeObject): string[] {
  return (statusOf(object).inventory?.entries ?? []).map((entry) => `${entry.id} ${entry.v}`).sort();
}

/** The last part of history: what the newest entry says. */
export function newestHistory(object: KubeObject): NonNullable<FluxStatus['history']>[number] | undefined {
  return statusOf(object).history?.[0];
}

/** A manifest as JSON, which is YAML. */
export function manifest(apiVersion: string, kind: string, name: string, rest: object = {}): string {
  const { metadata, ...fields } = rest as { metadata?: object };
  return `${JSON.stringify({ apiVersion, kind, metadata: { name, ...metadata }, ...fields })}\n`;
}

/** A Service with one port. */
export function service(name: string): string {
  return manifest('v1', 'Service', name, { spec: { ports: [{ port: 80 }], selector: { app: name } } });
}

/** A Deployment of one pod; kwok makes the pod ready unless its label says otherwise. */
export function deployment(name: string, options: { isUnready?: boolean; image?: string } = {}): string {
  const labels = { app: name, ...(options.isUnready ? { 'continuo.dev/unready': 'true' } : {}) };
  return manifest('apps/v1', 'Deployment', name, {
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: 'main', image: options.image ?? 'example/web:1' }] },
      },
    },
  });
}
