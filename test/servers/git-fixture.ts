// A GitRepository and the stages of its source over a real artifact store; no Kubernetes and no Temporal.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ArtifactStore } from '../../activities/artifact/artifact.ts';
import { createFileArtifactStore } from '../../activities/artifact/file-store.ts';
import { createCloudLogins } from '../../activities/source/cloud/cloud-logins.ts';
import { createGitSource, type GitSourceDeps } from '../../activities/source/git/git-source.ts';
import { createSourceActivities, type SourceActivities } from '../../activities/source/source-activities.ts';
import type { ArchivedRevision, FetchedRevision } from '../../activities/source/source-driver.ts';
import type { GitRepository, GitRepositorySpec } from '../../k8s/api/git-repository.ts';

export interface GitFixture {
  directory: string;
  store: ArtifactStore;
  /** Data of Secrets by `namespace/name`. */
  secrets: Record<string, Record<string, string>>;
  abort: AbortController;
  /** Gives the object a URL and a spec, and no status. */
  use(url: string, spec?: Partial<GitRepositorySpec>): void;
  /** Starts the stages anew, as another worker would: nothing is remembered but what is on disk. */
  restart(options?: Partial<GitSourceDeps>): void;
  fetch(): Promise<FetchedRevision>;
  /** Fetches and archives; the artifact is noted in the status. */
  reconcile(): Promise<ArchivedRevision>;
  removeArtifacts(): Promise<void>;
  /** Paths of the artifact's files and folders. */
  filesOf(archived: ArchivedRevision): string[];
  textOf(archived: ArchivedRevision, path: string): string;
  /** Reason and message of what `work` throws. */
  failureOf(work: Promise<unknown>): Promise<{ reason: string; message: string }>;
  /** Folders of the kept Git stores. */
  keptStores(): string[];
  /** Bytes of all packs in them. */
  packBytes(): number;
  close(): void;
}

const source = { namespace: 'apps', name: 'demo' };

export function createGitFixture(): GitFixture {
  const directory = mkdtempSync(join(tmpdir(), 'continuo-source-'));
  const store = createFileArtifactStore({
    directory: join(directory, 'artifacts'),
    advertisedAddress: 'artifacts.test',
  });
  const secrets: GitFixture['secrets'] = {};
  let object: GitRepository | undefined;
  let activities: SourceActivities;
  const fileOf = ({ artifact }: ArchivedRevision): string => join(directory, 'artifacts', artifact.path);

  const fixture: GitFixture = {
    directory,
    store,
    secrets,
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
        async readSecret(namespace, name) {
          const data = secrets[`${namespace}/${name}`];
          return data && Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value)]));
        },
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
    filesOf: (archived) =>
      execFileSync('tar', ['-tzf', fileOf(archived)], { encoding: 'utf8' })
        .trim()
        .split('\n'),
    textOf: (archived, path) => execFileSync('tar', ['-xzOf', fileOf(archived), path], { encoding: 'utf8' }),
    async failureOf(work) {
      const error = (await work.then(
        () => new Error('did not fail'),
        (thrown: unknown) => thrown,
      )) as Error & { type?: string };
      return { reason: error.type ?? error.name, message: error.message };
    },
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
    close: () => rmSync(directory, { recursive: true, force: true }),
  };
  fixture.restart();
  return fixture;
}
