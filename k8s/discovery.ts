// Which resource serves a kind: the API server's aggregated discovery, kept, and asked again for what it did not know.
import { KubeApiError, type ResourceInfo } from './client.ts';
import type { Rest } from './rest.ts';

/** Kinds → resources of one cluster. */
export interface Discovery {
  /** The resource of a kind; an empty version means the group's preferred one that serves the kind. */
  find(group: string, version: string, kind: string): Promise<ResourceInfo | undefined>;
  /** Forgets one group and version, or everything. */
  invalidate(group?: string, version?: string): void;
}

/** Group/version → kind → resource; the order of versions is the server's preference. */
type Known = Map<string, Map<string, ResourceInfo>>;

const aggregated = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
/** How soon one group and version is asked for again when a kind is still unknown. */
const minRefreshMs = 500;

/** Discovery over a connection; `now` is the clock in milliseconds. */
export function createDiscovery(rest: Rest, now: () => number = Date.now): Discovery {
  let all: Promise<Known> | undefined;
  const refreshes = new Map<string, { startedAt: number; done: Promise<void> }>();

  async function loadAll(): Promise<Known> {
    const answers = await Promise.all(
      ['/api', '/apis'].map((path) => rest.json({ method: 'GET', path, accept: aggregated, isIdempotent: true })),
    );
    return new Map(answers.flatMap(resourcesOfAggregated));
  }

  function load(): Promise<Known> {
    all ??= loadAll().catch((error: unknown) => {
      all = undefined;
      throw error;
    });
    return all;
  }

  /** One small request that sees a CRD of a moment ago sooner than the aggregated document does. */
  async function refresh(known: Known, group: string, version: string): Promise<void> {
    const path = group ? `/apis/${group}/${version}` : `/api/${version}`;
    try {
      const answer = await rest.json({ method: 'GET', path, isIdempotent: true });
      known.set(`${group}/${version}`, resourcesOfList(group, version, answer));
    } catch (error) {
      if (!(error instanceof KubeApiError) || error.status !== 404) throw error;
      known.delete(`${group}/${version}`);
    }
  }

  async function refreshOnce(known: Known, group: string, version: string): Promise<void> {
    const key = `${group}/${version}`;
    const last = refreshes.get(key);
    if (last && now() - last.startedAt < minRefreshMs) return last.done;
    const done = refresh(known, group, version);
    refreshes.set(key, { startedAt: now(), done });
    if (refreshes.size > 1000) refreshes.delete(refreshes.keys().next().value ?? '');
    return done;
  }

  return {
    async find(group, version, kind) {
      const known = await load();
      if (!version) {
        for (const [key, kinds] of known) {
          if (key.slice(0, key.lastIndexOf('/')) === group && kinds.has(kind)) return kinds.get(kind);
        }
        return undefined;
      }
      const found = known.get(`${group}/${version}`)?.get(kind);
      if (found) return found;
      await refreshOnce(known, group, version);
      return known.get(`${group}/${version}`)?.get(kind);
    },
    invalidate(group, version) {
      if (group === undefined || version === undefined) {
        all = undefined;
        refreshes.clear();
        return;
      }
      refreshes.delete(`${group}/${version}`);
      void all?.then((known) => known.delete(`${group}/${version}`)).catch(() => {});
    },
  };
}

/** The resources of one aggregated discovery document, by group/version and kind. */
export function resourcesOfAggregated(document: unknown): Array<[string, Map<string, ResourceInfo>]> {
  const groups = (document as { items?: AggregatedGroup[] }).items;
  if (!Array.isArray(groups)) {
    throw new Error('API discovery gave no aggregated document: Kubernetes 1.30 or newer is needed');
  }
  return groups.flatMap((group) =>
    (group.versions ?? []).map(({ version, resources }): [string, Map<string, ResourceInfo>] => {
      const name = group.metadata?.name ?? '';
      const kinds = new Map<string, ResourceInfo>();
      for (const { resource, responseKind, scope } of resources ?? []) {
        // `scale` and its like answer with the kind of another group: not addressable as that kind here.
        if (!responseKind?.kind || kinds.has(responseKind.kind)) continue;
        const namespaced = scope === 'Namespaced';
        kinds.set(responseKind.kind, { group: name, version, kind: responseKind.kind, resource, namespaced });
      }
      return [`${name}/${version}`, kinds];
    }),
  );
}

interface AggregatedGroup {
  metadata?: { name?: string };
  versions?: Array<{
    version: string;
    resources?: Array<{ resource: string; responseKind?: { kind?: string }; scope?: string }>;
  }>;
}

/** The resources of one `APIResourceList`; subresources are left out. */
export function resourcesOfList(group: string, version: string, document: unknown): Map<string, ResourceInfo> {
  const kinds = new Map<string, ResourceInfo>();
  const { resources = [] } = document as { resources?: Array<{ name: string; kind: string; namespaced: boolean }> };
  for (const { name, kind, namespaced } of resources) {
    if (!name.includes('/') && !kinds.has(kind)) kinds.set(kind, { group, version, kind, resource: name, namespaced });
  }
  return kinds;
}
