// GitRepository: which commit spec.ref selects, its objects in a kept store, and the artifact of its tree (contract 1.1).
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { GitRepository, GitRepositorySpec } from '../../../k8s/api/git-repository.ts';
import { parseDuration } from '../../../k8s/duration.ts';
import { type NamespacedName, refOf } from '../../../k8s/object.ts';
import type { ArtifactStore } from '../../artifact/artifact.ts';
import { failure, messageOf } from '../../errors.ts';
import { createByteCache } from './byte-cache.ts';
import type { SecretData } from '../http/tls-secret.ts';
import type { ArchivedRevision, FetchedRevision, SourceDriver } from '../source-driver.ts';
import { isStored } from '../stored.ts';
import { filesOfTree } from './tree-files.ts';
import { credentialsFromSecret, splitUrlCredentials } from './credentials.ts';
import { planRef, type RefPlan } from './ref-selection.ts';
import { createGitRepositories, type GitRemote } from './repositories.ts';
import { refuseUnsupported } from './unsupported.ts';

/** What the driver needs from outside. */
export interface GitSourceDeps {
  store: ArtifactStore;
  /** The kept Git stores are under `<dataDirectory>/git`. */
  dataDirectory: string;
  readSecret(namespace: string, name: string): Promise<SecretData>;
  /** Largest pack stream of one fetch. @default 1 GiB */
  maxRepositoryBytes?: number;
  /** Trees and small files kept in memory between commits. @default 64 MiB */
  objectCacheBytes?: number;
}

export function createGitSource(deps: GitSourceDeps): SourceDriver<GitRepository> {
  const { store } = deps;
  const repositories = createGitRepositories({
    directory: join(deps.dataDirectory, 'git'),
    maxRepositoryBytes: deps.maxRepositoryBytes,
  });
  const cache = createByteCache(deps.objectCacheBytes ?? 64 * 1024 * 1024);

  return {
    async fetch(object, signal) {
      const { spec } = object;
      const source = nameOf(object);
      refuseUnsupported(spec);
      const plan = planOf(spec);
      const open = remoteOf(deps, source, spec, signal);
      const selected = await repositories.selectCommit(await open.remote(), plan);
      const result = { revision: selected.revision, commit: selected.commit, refName: selected.refName };
      if (await isUnchanged(store, object, selected.revision)) {
        return { ...result, isUnchanged: true, commitSubject: '' };
      }
      await repositories.remove(source, open.url);
      const message = await repositories.withCommit(
        source,
        { commit: selected.commit, plan, url: open.url, signal, remote: open.remote },
        async (objects) => (await objects.readCommit(selected.commit)).message,
      );
      return { ...result, isUnchanged: false, commitSubject: subjectOfCommit(message) };
    },

    async archive(object, fetched, signal) {
      const { spec, status } = object;
      const source = nameOf(object);
      const commit = commitOf(fetched);
      refuseUnsupported(spec);
      const open = remoteOf(deps, source, spec, signal);
      const from = { commit, plan: planOf(spec), url: open.url, signal, remote: open.remote };
      return await repositories.withCommit(source, from, async (objects) => {
        const { tree } = await objects.readCommit(commit);
        const selection = { ignore: spec.ignore, sparseCheckout: spec.sparseCheckout };
        let sizeBytes = 0;
        const files = (await filesOfTree(objects, tree, selection, cache)).map((file) => ({
          ...file,
          async content() {
            signal.throwIfAborted();
            const content = await file.content();
            sizeBytes += content.byteLength;
            return content;
          },
        }));
        const owner = { kind: object.kind, ...source };
        const artifact = await store.publish(owner, `${commit}.tar.gz`, fetched.revision, files);
        return {
          artifact,
          isNew: artifact.digest !== status?.artifact?.digest,
          message: `stored artifact for commit '${fetched.commitSubject ?? ''}'`,
          conditionMessage: `stored artifact for revision '${fetched.revision}'`,
          fileCount: files.length,
          sizeBytes,
          observed: observedOf(spec),
        };
      });
    },

    remove: (owner) => repositories.remove(owner),
  };
}

function nameOf(object: GitRepository): NamespacedName {
  const { namespace, name } = refOf(object);
  return { namespace, name };
}

function commitOf({ commit }: FetchedRevision): string {
  if (commit) return commit;
  throw failure('GitOperationFailed', 'the fetch stage found no commit');
}

function planOf(spec: GitRepositorySpec): RefPlan {
  try {
    return planRef(spec.ref);
  } catch (error) {
    throw failure('GitOperationFailed', messageOf(error), { cause: error });
  }
}

/** The remote of an object; its Secret is read when the remote is asked for. */
function remoteOf(
  deps: GitSourceDeps,
  source: NamespacedName,
  spec: GitRepositorySpec,
  signal: AbortSignal,
): { url: string; remote(): Promise<GitRemote> } {
  const { url, credentials: inUrl } = splitUrlCredentials(spec.url);
  return {
    url,
    async remote() {
      const timeoutMs = parseDuration(spec.timeout ?? '60s');
      if (!spec.secretRef) return { url, credentials: inUrl, timeoutMs, signal };
      const data = await deps.readSecret(source.namespace, spec.secretRef.name);
      const credentials = credentialsFromSecret(`${source.namespace}/${spec.secretRef.name}`, data);
      return { url, credentials, timeoutMs, signal };
    },
  };
}

/** The remote head alone decides only when the spec is the one that made the artifact and the file is as it was. */
async function isUnchanged(store: ArtifactStore, object: GitRepository, revision: string): Promise<boolean> {
  const { status = {}, spec } = object;
  const observed = {
    ignore: status.observedIgnore,
    sparseCheckout: status.observedSparseCheckout ?? [],
    include: status.observedInclude ?? [],
    recurseSubmodules: status.observedRecurseSubmodules ?? false,
  };
  const wanted = {
    ignore: spec.ignore,
    sparseCheckout: spec.sparseCheckout ?? [],
    include: spec.include ?? [],
    recurseSubmodules: spec.recurseSubmodules ?? false,
  };
  return isDeepStrictEqual(observed, wanted) && (await isStored(store, object, revision));
}

/** `status.observed*`: the spec fields that shaped the artifact. */
function observedOf({ ignore, sparseCheckout }: GitRepositorySpec): ArchivedRevision['observed'] {
  return {
    ...(ignore === undefined ? {} : { observedIgnore: ignore }),
    ...(sparseCheckout && sparseCheckout.length > 0 ? { observedSparseCheckout: sparseCheckout } : {}),
  };
}

const maxSubjectCharacters = 50;

/** First line of a commit message, cut after 50 characters. */
export function subjectOfCommit(message: string): string {
  const characters = [...(message.trimStart().split('\n')[0] ?? '').trim()];
  if (characters.length <= maxSubjectCharacters) return characters.join('');
  return `${characters.slice(0, maxSubjectCharacters).join('')}...`;
}
