// The Git driver against a real Git server, without Kubernetes and Temporal: objects are plain values here, and a reconcile
// is its stages one after the other, with the status that the report would write.
import { join } from 'node:path';
import { createUnpackedArtifacts } from '../../activities/artifact/unpack.ts';
import { createCloudLogins } from '../../activities/source/cloud/cloud-logins.ts';
import { createGitSource, type GitSourceDeps } from '../../activities/source/git/git-source.ts';
import { createSourceActivities, type SourceActivities } from '../../activities/source/source-activities.ts';
import type { ArchivedRevision, FetchedRevision, VerifiedRevision } from '../../activities/source/source-driver.ts';
import type { GitRepository, GitRepositorySpec } from '../../k8s/api/git-repository.ts';
import { createSourceFixture, type SourceFixture } from './source-fixture.ts';

export { failureOf } from './source-fixture.ts';

export interface Reconciled {
  fetched: FetchedRevision;
  verified?: VerifiedRevision;
  archived?: ArchivedRevision;
}

export interface GitSourceFixture extends SourceFixture<string | Uint8Array> {
  activities: SourceActivities;
  /** Creates or changes an object of namespace `apps`; a change counts up the generation and keeps the status. */
  use(name: string, url: string, spec?: Partial<GitRepositorySpec>): GitRepository;
  remove(name: string): void;
  object(name: string): GitRepository | undefined;
  /** Fetch, verify and archive as the workflow does, then the status. */
  reconcile(name: string): Promise<Reconciled>;
}

export const fixtureNamespace = 'apps';

export function createGitSourceFixture(options: Partial<GitSourceDeps> = {}): GitSourceFixture {
  const fixture = createSourceFixture<string | Uint8Array>();
  const { directory, store, localStore, readSecret } = fixture;
  const unpacked = createUnpackedArtifacts({ directory: join(directory, 'unpacked'), localStore });
  const objects = new Map<string, GitRepository>();
  const driver = createGitSource({
    store,
    dataDirectory: join(directory, 'data'),
    logins: createCloudLogins({ env: {} }),
    include: { unpacked, gitRepository: async ({ name }) => objects.get(name) },
    readSecret,
    ...options,
  });
  const activities = createSourceActivities({
    store,
    drivers: { GitRepository: driver },
    source: async ({ name }) => objects.get(name),
    heartbeat: () => undefined,
  });

  return {
    ...fixture,
    activities,
    use(name, url, spec = {}) {
      const known = objects.get(name);
      const object: GitRepository = {
        apiVersion: 'source.toolkit.fluxcd.io/v1',
        kind: 'GitRepository',
        metadata: { namespace: fixtureNamespace, name, generation: (known?.metadata.generation ?? 0) + 1 },
        spec: { url, interval: '1m', timeout: '60s', ref: { branch: 'main' }, ...spec },
        status: known?.status,
      };
      objects.set(name, object);
      return object;
    },
    remove: (name) => void objects.delete(name),
    object: (name) => objects.get(name),
    async reconcile(name) {
      const source = { namespace: fixtureNamespace, name };
      const generation = objects.get(name)?.metadata.generation ?? 1;
      const fetched = await activities.fetchRevision({ source, generation });
      if (fetched.isUnchanged) return { fetched };
      const input = { source, generation, ...fetched };
      const verified = fetched.needsVerification ? await activities.verifyRevision(input) : undefined;
      const archived = await activities.archiveRevision(input);
      const object = objects.get(name);
      if (object) objects.set(name, { ...object, status: statusAfter(generation, archived, verified) });
      return { fetched, verified, archived };
    },
  };
}

function statusAfter(
  generation: number,
  archived: ArchivedRevision,
  verified: VerifiedRevision | undefined,
): GitRepository['status'] {
  const told = { reason: 'Succeeded', lastTransitionTime: '2026-01-01T00:00:00Z', observedGeneration: generation };
  return {
    observedGeneration: generation,
    artifact: archived.artifact,
    ...archived.observed,
    ...(verified
      ? {
          sourceVerificationMode: verified.mode,
          conditions: [{ type: 'SourceVerified', status: 'True', message: verified.message, ...told }],
        }
      : {}),
  };
}
