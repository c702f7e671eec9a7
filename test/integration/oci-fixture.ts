// What the tests of OCI artifacts share: the driver of OCIRepository on a store of its own, without Kubernetes and Temporal.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ArtifactStore } from '../../activities/artifact/artifact.ts';
import { createFileArtifactStore } from '../../activities/artifact/file-store.ts';
import { createCloudLogins } from '../../activities/source/cloud/cloud-logins.ts';
import { createOciSource, type OciSourceDeps } from '../../activities/source/oci/oci-source.ts';
import type { ArchivedRevision, FetchedRevision } from '../../activities/source/source-driver.ts';
import type { OCIRepository, OCIRepositorySpec } from '../../k8s/api/oci-repository.ts';

export interface OciFixture {
  directory: string;
  store: ArtifactStore;
  /** `namespace/name` → data. */
  secrets: Record<string, Record<string, string>>;
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
  /** Names in the artifact's archive. */
  filesOf(archived: ArchivedRevision): string[];
  textOf(archived: ArchivedRevision, path: string): string;
  close(): void;
}

export function createOciFixture(limits: Partial<OciSourceDeps> = {}): OciFixture {
  const directory = mkdtempSync(join(tmpdir(), 'continuo-oci-'));
  const store = createFileArtifactStore({
    directory: join(directory, 'artifacts'),
    advertisedAddress: 'artifacts.test',
  });
  const secrets: OciFixture['secrets'] = {};
  const serviceAccounts: OciFixture['serviceAccounts'] = {};
  const abort = new AbortController();
  let object: OCIRepository | undefined;
  const driver = createOciSource({
    store,
    dataDirectory: join(directory, 'data'),
    async readSecret(namespace, name) {
      const data = secrets[`${namespace}/${name}`];
      return data && Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value)]));
    },
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
  const fileOf = (archived: ArchivedRevision): string => join(directory, 'artifacts', archived.artifact.path);
  return {
    directory,
    store,
    secrets,
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
    filesOf: (archived) =>
      execFileSync('tar', ['-tzf', fileOf(archived)], { encoding: 'utf8' })
        .trim()
        .split('\n'),
    textOf: (archived, path) => execFileSync('tar', ['-xzOf', fileOf(archived), path], { encoding: 'utf8' }),
    close: () => rmSync(directory, { recursive: true, force: true }),
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
