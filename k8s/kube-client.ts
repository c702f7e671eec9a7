// The Kubernetes client: objects in, objects out, as raw JSON.
import {
  type DeleteOptions,
  KubeApiError,
  type KubeClient,
  type ListOptions,
  type ObjectList,
  type ResourceInfo,
  type WatchEvent,
} from './client.ts';
import { createDiscovery, type Discovery } from './discovery.ts';
import { type KubeconfigOptions, loadClusterAccess } from './kubeconfig.ts';
import { joinApiVersion, type KubeObject, type ObjectRef, refOf, subjectOf } from './object.ts';
import { createRest, errorOfStatus, type Rest, type RestOptions, type RestRequest } from './rest.ts';

export interface KubeClientOptions extends KubeconfigOptions, RestOptions {
  /** Act as another user from the start; see `KubeClient.impersonate`. */
  impersonate?: { user: string; groups?: string[] };
}

const metadataAccept = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json';
const metadataListAccept = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json';
const defaultPageSize = 500;
/** The shortest life that the API server gives to a token. */
const tokenSeconds = 600;

/**
 * A client of the cluster that a kubeconfig names (or of the pod's own cluster). Nothing is requested before the first
 * call. Example: `const pod = await client.get({ group: '', version: 'v1', kind: 'Pod', namespace: 'a', name: 'b' })`.
 */
export function createKubeClient(options: KubeClientOptions = {}): KubeClient {
  const access = loadClusterAccess(options);
  const rest = createRest(access, options);
  const client = clientOn(access.server, rest, createDiscovery(rest), {});
  return options.impersonate ? client.impersonate(options.impersonate.user, options.impersonate.groups) : client;
}

/** A client over an existing connection, sending `identity` headers with every object request. */
export function clientOn(
  server: string,
  rest: Rest,
  discovery: Discovery,
  identity: Record<string, string | string[]>,
): KubeClient {
  async function mustFind(ref: ObjectRef): Promise<ResourceInfo> {
    const resource = await discovery.find(ref.group, ref.version, ref.kind);
    if (resource) return resource;
    throw new KubeApiError(`no matches for kind "${ref.kind}" in version "${joinApiVersion(ref)}"`, 404, 'NoKindMatch');
  }

  async function send(resource: ResourceInfo, request: RestRequest): Promise<KubeObject> {
    try {
      return (await rest.json({ ...request, headers: identity })) as KubeObject;
    } catch (error) {
      // The path itself is unknown: the kind is no longer served, whatever discovery said once.
      if (error instanceof KubeApiError && error.status === 404 && isUnknownPath(error)) {
        discovery.invalidate(resource.group, resource.version);
        throw new KubeApiError(
          `no matches for kind "${resource.kind}" in version "${joinApiVersion(resource)}"`,
          404,
          'NoKindMatch',
        );
      }
      throw error;
    }
  }

  async function listPages(
    resource: ResourceInfo,
    options: ListOptions & { signal?: AbortSignal },
  ): Promise<ObjectList> {
    const items: KubeObject[] = [];
    let resourceVersion = '';
    let token: string | undefined;
    do {
      const page = (await send(resource, {
        method: 'GET',
        path: collectionPath(resource, options.namespace),
        query: { ...selectorsOf(options), limit: String(options.limit ?? defaultPageSize), continue: token },
        accept: options.metadataOnly ? metadataListAccept : undefined,
        isIdempotent: true,
        signal: options.signal,
      })) as unknown as { metadata?: { resourceVersion?: string; continue?: string }; items?: KubeObject[] };
      for (const item of page.items ?? []) items.push(asKind(item, resource, options.metadataOnly));
      resourceVersion = page.metadata?.resourceVersion ?? '';
      token = page.metadata?.continue || undefined;
    } while (token);
    return { resourceVersion, items };
  }

  const client: KubeClient = {
    server,

    resourceFor: (group, version, kind) => discovery.find(group, version, kind),

    async get(ref, options = {}) {
      const resource = await discovery.find(ref.group, ref.version, ref.kind);
      if (!resource) return undefined;
      const accept = options.metadataOnly ? metadataAccept : undefined;
      const path = objectPath(resource, ref);
      try {
        const found = await send(resource, { method: 'GET', path, accept, isIdempotent: true, signal: options.signal });
        return asKind(found, resource, options.metadataOnly);
      } catch (error) {
        if (isGone(error)) return undefined;
        throw error;
      }
    },

    async list(resource, options = {}) {
      try {
        return await listPages(resource, options);
      } catch (error) {
        // A continue token lives as long as etcd's history: the pages are read again from the start, once.
        if (!(error instanceof KubeApiError) || error.status !== 410) throw error;
        return listPages(resource, options);
      }
    },

    async *watch(resource, options) {
      const lines = rest.lines({
        method: 'GET',
        path: collectionPath(resource, options.namespace),
        query: {
          ...selectorsOf(options),
          watch: 'true',
          allowWatchBookmarks: 'true',
          resourceVersion: options.resourceVersion,
          timeoutSeconds: String(300 + Math.floor(Math.random() * 300)),
        },
        accept: options.metadataOnly ? metadataAccept : undefined,
        headers: identity,
        isIdempotent: true,
        signal: options.signal,
      });
      for await (const line of lines) {
        const event = JSON.parse(line) as { type: string; object: KubeObject };
        if (event.type === 'ERROR') throw errorOfStatus(event.object, 500, `watch of ${resource.resource} failed`);
        if (event.type === 'BOOKMARK') yield event as WatchEvent;
        else yield { type: event.type, object: asKind(event.object, resource, options.metadataOnly) } as WatchEvent;
      }
    },

    async apply(object, options) {
      const ref = refOf(object);
      const resource = await mustFind(ref);
      return send(resource, {
        method: 'PATCH',
        path: objectPath(resource, ref) + (options.subresource ? `/${options.subresource}` : ''),
        query: {
          fieldManager: options.fieldManager,
          force: options.force === undefined ? undefined : String(options.force),
          dryRun: options.dryRun ? 'All' : undefined,
        },
        contentType: 'application/apply-patch+yaml',
        body: object,
        isIdempotent: true,
        signal: options.signal,
      });
    },

    async create(object, options = {}) {
      const ref = refOf(object);
      const resource = await mustFind(ref);
      const path = collectionPath(resource, resource.namespaced ? ref.namespace : undefined);
      const query = { fieldManager: options.fieldManager };
      return send(resource, { method: 'POST', path, query, body: object, signal: options.signal });
    },

    async patch(ref, body, options) {
      const resource = await mustFind(ref);
      return send(resource, {
        method: 'PATCH',
        path: objectPath(resource, ref) + (options.subresource ? `/${options.subresource}` : ''),
        query: { fieldManager: options.fieldManager, dryRun: options.dryRun ? 'All' : undefined },
        contentType: patchTypes[options.type],
        body,
        // A JSON patch adds to lists, so only the other two may be sent twice.
        isIdempotent: options.type !== 'json',
        signal: options.signal,
      });
    },

    async delete(ref, options = {}) {
      const resource = await discovery.find(ref.group, ref.version, ref.kind);
      if (!resource) return false;
      try {
        const path = objectPath(resource, ref);
        const body = deleteBody(options);
        await send(resource, { method: 'DELETE', path, body, isIdempotent: true, signal: options.signal });
        return true;
      } catch (error) {
        if (isGone(error)) return false;
        throw error;
      }
    },

    async requestToken({ namespace, name }, { audiences, signal }) {
      const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/serviceaccounts/${encodeURIComponent(name)}/token`;
      const body = {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { audiences, expirationSeconds: tokenSeconds },
      };
      const answer = (await rest.json({ method: 'POST', path, body, headers: identity, signal })) as {
        status?: { token?: string; expirationTimestamp?: string };
      };
      const { token = '', expirationTimestamp = '' } = answer.status ?? {};
      return { token, expiresAtMs: Date.parse(expirationTimestamp) };
    },

    forward: (request) => rest.forward({ ...request, headers: { ...request.headers, ...identity } }),

    impersonate(user, groups = []) {
      const headers = { 'impersonate-user': user, ...(groups.length > 0 && { 'impersonate-group': groups }) };
      return { ...clientOn(server, rest, discovery, headers), close: async () => {} };
    },

    close: () => rest.close(),
  };
  return client;
}

const patchTypes = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

/** True for a 404 of the object itself (or of its namespace), and for a kind that is not served. */
function isGone(error: unknown): boolean {
  return error instanceof KubeApiError && error.status === 404;
}

function isUnknownPath(error: KubeApiError): boolean {
  return error.reason === '' || error.message === 'the server could not find the requested resource';
}

function deleteBody(options: DeleteOptions): unknown {
  return {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    propagationPolicy: options.propagationPolicy,
    preconditions: options.uid ? { uid: options.uid } : undefined,
    dryRun: options.dryRun ? ['All'] : undefined,
  };
}

function selectorsOf(options: ListOptions): Record<string, string | undefined> {
  return { labelSelector: options.labelSelector, fieldSelector: options.fieldSelector };
}

/** `/apis/apps/v1/namespaces/a/deployments`; without a namespace the collection of the whole cluster. */
function collectionPath(resource: ResourceInfo, namespace: string | undefined): string {
  const root = resource.group ? `/apis/${resource.group}/${resource.version}` : `/api/${resource.version}`;
  const scope = resource.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${root}${scope}/${resource.resource}`;
}

function objectPath(resource: ResourceInfo, ref: ObjectRef): string {
  if (resource.namespaced && !ref.namespace) {
    throw new KubeApiError(`${subjectOf(ref)} has no namespace, but its kind needs one`, 400, 'BadRequest');
  }
  if (!ref.name || ref.name === '.' || ref.name === '..') {
    throw new KubeApiError(`${ref.kind} has no valid name: "${ref.name}"`, 400, 'BadRequest');
  }
  return `${collectionPath(resource, ref.namespace)}/${encodeURIComponent(ref.name)}`;
}

/** Items of lists carry no kind, and metadata-only ones a kind of their own: all get the kind that was asked for. */
function asKind(object: KubeObject, resource: ResourceInfo, metadataOnly = false): KubeObject {
  const apiVersion = joinApiVersion(resource);
  if (metadataOnly) return { apiVersion, kind: resource.kind, metadata: object.metadata };
  if (object.apiVersion === apiVersion && object.kind === resource.kind) return object;
  return { ...object, apiVersion, kind: resource.kind };
}
