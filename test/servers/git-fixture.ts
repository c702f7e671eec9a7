// A GitRepository and the stages of its source over a real artifact store; no Kubernetes and no Temporal.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createCloudLogins } from '../../activities/source/cloud/cloud-logins.ts';
import { createGitSource, type GitSourceDeps } from '../../activities/source/git/git-source.ts';
import { createSourceActivities, type SourceActivities } from '../../activities/source/source-activities.ts';
import type { ArchivedRevision, FetchedRevision } from '../../activities/source/source-driver.ts';
import type { GitRepository, GitRepositorySpec } from '../../k8s/api/git-repository.ts';
import { createSourceFixture, failureOf, type SourceFixture } from './source-fixture.ts';

export interface GitFixture extends SourceFixture {
  abort: AbortController;
  /** Gives the object a URL and a spec, and no status. */
  use(url: string, spec?: Partial<GitRepositorySpec>): void;
  /** Starts the stages anew, as another worker would: nothing is remembered but what is on disk. */
  restart(options?: Partial<GitSourceDeps>): void;
  fetch(): Promise<FetchedRevision>;
  /** Fetches and archives; the artifact is noted in the status. */
  reconcile(): Promise<ArchivedRevision>;
  removeArtifacts(): Promise<void>;
  failureOf: typeof failureOf;
  /** Folders of the kept Git stores. */
  keptStores(): string[];
  /** Bytes of all packs in them. */
  packBytes(): number;
}

const source = { namespace: 'apps', name: 'demo' };

export function createGitFixture(): GitFixture {
  const base = createSourceFixture();
  const { directory, store, readSecret } = base;
  let object: GitRepository | undefined;
  let activities: SourceActivities;

  const fixture: GitFixture = {
    ...base,
    abort: new AbortController(),
    use(url, spec = {}) {
      object = {
        apiVersion: 'source.toolkit.fluxcd.io/v1',
        kind: 'GitRepository',
        metadata: { ...source, generation: 1 },
        spec: { url, interval: '1m', timeout: '20s', ref: { branch: 'main' }, ...spec },
      };
    },
    restart(options = {}) {
      const driver = createGitSource({
        store,
        dataDirectory: join(directory, 'data'),
        logins: createCloudLogins({ env: {} }),
        readSecret,
        ...options,
      });
      activities = createSourceActivities({
        store,
        drivers: { GitRepository: driver },
        source: async () => object,
        heartbeat: () => undefined,
        signal: () => fixture.abort.signal,
      });
    },
    fetch: () => activities.fetchRevision({ source, generation: 1 }),
    async reconcile() {
      const fetched = await fixture.fetch();
      const archived = await activities.archiveRevision({ source, generation: 1, ...fetched });
      if (object) object.status = { artifact: archived.artifact, ...archived.observed };
      return archived;
    },
    removeArtifacts: () => activities.removeArtifacts(source),
    failureOf,
    keptStores: () =>
      readdirSync(join(directory, 'data', 'git'))
        .filter((entry) => !entry.endsWith('.lock'))
        .map((entry) => join(directory, 'data', 'git', entry)),
    packBytes: () =>
      fixture
        .keptStores()
        .map((kept) => join(kept, 'objects', 'pack'))
        .flatMap((packs) =>
          readdirSync(packs)
            .filter((name) => name.endsWith('.pack'))
            .map((name) => join(packs, name)),
        )
        .reduce((sum, file) => sum + statSync(file).size, 0),
  };
  fixture.restart();
  return fixture;
}
