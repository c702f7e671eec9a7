// What the tests of OCI artifacts share: the driver of OCIRepository on a store of its own, without Kubernetes and Temporal.
import { join } from 'node:path';
import { createCloudLogins } from '../../activities/source/cloud/cloud-logins.ts';
import { createOciSource, type OciSourceDeps } from '../../activities/source/oci/oci-source.ts';
import type { ArchivedRevision, FetchedRevision } from '../../activities/source/source-driver.ts';
import type { OCIRepository, OCIRepositorySpec } from '../../k8s/api/oci-repository.ts';
import { createSourceFixture, type SourceFixture } from '../servers/source-fixture.ts';

export interface OciFixture extends SourceFixture {
  /** `namespace/name` → names of pull secrets. */
  serviceAccounts: Record<string, string[]>;
  abort: AbortController;
  /** Makes the object, without status. */
  use(url: string, spec?: Partial<OCIRepositorySpec>): OCIRepository;
  object(): OCIRepository;
  fetch(): Promise<FetchedRevision>;
  archive(fetched: FetchedRevision): Promise<ArchivedRevision>;
  /** Fetches and archives. */
  reconcile(): Promise<{ fetched: FetchedRevision; archived: ArchivedRevision }>;
  /** Notes the artifact in the object's status, as the report does. */
  report(archived: ArchivedRevision): void;
}

export function createOciFixture(limits: Partial<OciSourceDeps> = {}): OciFixture {
  const fixture = createSourceFixture();
  const { directory, store, readSecret } = fixture;
  const serviceAccounts: OciFixture['serviceAccounts'] = {};
  const abort = new AbortController();
  let object: OCIRepository | undefined;
  const driver = createOciSource({
    store,
    dataDirectory: join(directory, 'data'),
    readSecret,
    publicRoot: noPublicRoot,
    logins: createCloudLogins({ env: {} }),
    readPullSecrets: async (namespace, name) => serviceAccounts[`${namespace}/${name}`],
    ...limits,
  });
  const current = (): OCIRepository => {
    if (object) return object;
    throw new Error('no object: call use()');
  };
  const fetch = (): Promise<FetchedRevision> => driver.fetch(current(), abort.signal);
  const archive = (fetched: FetchedRevision) => driver.archive(current(), fetched, abort.signal);
  return {
    ...fixture,
    serviceAccounts,
    abort,
    use(url, spec = {}) {
      object = {
        apiVersion: 'source.toolkit.fluxcd.io/v1',
        kind: 'OCIRepository',
        metadata: { namespace: 'apps', name: 'demo', generation: 1 },
        spec: { url, interval: '1m', timeout: '20s', provider: 'generic', ...spec },
      };
      return object;
    },
    object: current,
    fetch,
    archive,
    async reconcile() {
      const fetched = await fetch();
      return { fetched, archived: await archive(fetched) };
    },
    report(archived) {
      current().status = { artifact: archived.artifact, ...archived.observed };
    },
  };
}

/** There is no network in tests. */
export async function noPublicRoot(): Promise<never> {
  throw new Error('there is no TUF repository here');
}

export async function failureOf(
  promise: Promise<unknown>,
): Promise<{ reason: string; message: string; retryInMs?: number }> {
  const error = (await promise.then(
    () => new Error('did not fail'),
    (thrown: unknown) => thrown,
  )) as Error & { type?: string; details?: { retryInMs?: number }[] };
  const retryInMs = error.details?.[0]?.retryInMs;
  return {
    reason: error.type ?? error.name,
    message: error.message,
    ...(retryInMs !== undefined && { retryInMs }),
  };
}

/** The data of a Secret of type `kubernetes.io/dockerconfigjson`. */
export function dockerConfig(host: string, auth: Record<string, string>): Record<string, string> {
  return { '.dockerconfigjson': JSON.stringify({ auths: { [host]: auth } }) };
}
