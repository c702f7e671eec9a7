// GitRepository: which commit spec.ref selects, its objects in a kept store, and the artifact of its tree (contract 1.1).
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { GitRepository, GitRepositorySpec } from '../../../k8s/api/git-repository.ts';
import { type NamespacedName, refOf } from '../../../k8s/object.ts';
import type { ArchiveFile, ArtifactStore } from '../../artifact/artifact.ts';
import { failure, messageOf } from '../../errors.ts';
import { createByteCache } from './byte-cache.ts';
import type { CloudLogins } from '../cloud/cloud-logins.ts';
import type { SecretData } from '../http/tls-secret.ts';
import type { ArchivedRevision, FetchedRevision, SourceDriver } from '../source-driver.ts';
import { isStored } from '../stored.ts';
import { filesOfTree } from './tree-files.ts';
import type { LargePackOptions } from './git-binary.ts';
import { createGitHubTokens } from './github-app.ts';
import type { ObjectStore } from './object-store.ts';
import { planRef, type RefPlan } from './ref-selection.ts';
import {
  areIncluded,
  type IncludeDeps,
  type IncludedArtifact,
  includedArtifacts,
  includedFiles,
} from './include-artifacts.ts';
import { remoteOf } from './remote.ts';
import { createGitRepositories } from './repositories.ts';
import type { SshAlgorithms } from './ssh/ssh-algorithms.ts';
import { type MountedTrees, withSubmodules } from './submodule-trees.ts';
import { refuseBadUrl } from './bad-url.ts';
import { isVerified, trustedKeysOf, verificationModeOf, verifyObjects } from './verify-revision.ts';

/** What the driver needs from outside. */
export interface GitSourceDeps extends LargePackOptions {
  store: ArtifactStore;
  /** The kept Git stores are under `<dataDirectory>/git`. */
  dataDirectory: string;
  readSecret(namespace: string, name: string): Promise<SecretData>;
  /** Logins of the providers `aws` and `azure`. */
  logins: CloudLogins;
  /** What spec.include needs. @default spec.include is refused */
  include?: IncludeDeps;
  /** Largest pack stream of one fetch. @default 1 GiB */
  maxRepositoryBytes?: number;
  /** Trees kept in memory between commits. @default 16 MiB */
  objectCacheBytes?: number;
  sshAlgorithms?: SshAlgorithms;
}

export function createGitSource(deps: GitSourceDeps): SourceDriver<GitRepository> {
  const { store } = deps;
  const repositories = createGitRepositories({
    directory: join(deps.dataDirectory, 'git'),
    maxRepositoryBytes: deps.maxRepositoryBytes,
    gitBinary: deps.gitBinary,
    largePackBytes: deps.largePackBytes,
  });
  const { readSecret, logins, sshAlgorithms } = deps;
  const remotes = { readSecret, logins, sshAlgorithms, tokens: createGitHubTokens() };
  const cache = createByteCache(deps.objectCacheBytes ?? 16 * 1024 * 1024);

  return {
    async fetch(object, signal) {
      const { spec } = object;
      const source = nameOf(object);
      refuseBadUrl(spec.url);
      const plan = planOf(spec);
      const open = remoteOf(remotes, source, spec, signal);
      const selected = await repositories.selectCommit(await open.remote(), plan);
      const result = { revision: selected.revision, commit: selected.commit, refName: selected.refName };
      const included = await includedNow(deps, object);
      const mode = spec.verify && verificationModeOf(spec.verify);
      const isAsBefore = areIncluded(object, included) && isVerified(object);
      if (isAsBefore && (await isUnchanged(store, object, selected.revision))) {
        return { ...result, isUnchanged: true, commitSubject: '' };
      }
      const tag = mode && mode !== 'HEAD' ? selected.tag : undefined;
      // The stores of submodules are cleared up when the archive stage knows which there are.
      if (!spec.recurseSubmodules) await repositories.remove(source, open.url);
      const message = await repositories.withCommit(
        source,
        { commit: selected.commit, tag, plan, url: open.url, signal, remote: open.remote },
        async (objects) => (await objects.readCommit(selected.commit)).message,
      );
      return {
        ...result,
        isUnchanged: false,
        commitSubject: subjectOfCommit(message),
        ...(mode ? { needsVerification: true } : {}),
        ...(tag ? { found: { tag } } : {}),
      };
    },

    async verify(object, fetched, signal) {
      const { spec } = object;
      const source = nameOf(object);
      const commit = commitOf(fetched);
      if (!spec.verify) throw failure('VerificationError', 'spec.verify was removed while it was carried out');
      const mode = verificationModeOf(spec.verify);
      const { name } = spec.verify.secretRef;
      const keys = await trustedKeysOf(`${source.namespace}/${name}`, await deps.readSecret(source.namespace, name));
      const open = remoteOf(remotes, source, spec, signal);
      const tag = fetched.found?.tag;
      const from = { commit, tag, plan: planOf(spec), url: open.url, signal, remote: open.remote };
      return await repositories.withCommit(source, from, (objects) =>
        verifyObjects(objects, mode, { ...fetched, commit, tag }, keys),
      );
    },

    async archive(object, fetched, signal) {
      const { spec, status } = object;
      const source = nameOf(object);
      const commit = commitOf(fetched);
      refuseBadUrl(spec.url);
      const open = remoteOf(remotes, source, spec, signal);
      if (spec.verify && !fetched.needsVerification) {
        throw failure(
          'VerificationError',
          'spec.verify was set while the commit was fetched: it is verified next time',
        );
      }
      const from = { commit, plan: planOf(spec), url: open.url, signal, remote: open.remote };
      const included = await includedNow(deps, object);
      const others: ArchiveFile[] = [];
      for (const one of included) others.push(...(await includedFiles(one, includeDeps(deps).unpacked, signal)));
      const pack = async (objects: ObjectStore, submodules?: MountedTrees): Promise<ArchivedRevision> => {
        const { tree } = await objects.readCommit(commit);
        const selection = { ignore: spec.ignore, sparseCheckout: spec.sparseCheckout, included: others, submodules };
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
          observed: observedOf(spec, included),
        };
      };
      return await repositories.withCommit(source, from, async (objects) => {
        if (!spec.recurseSubmodules) return await pack(objects);
        return await withSubmodules(repositories, source, { ...from, objects }, (trees) => pack(objects, trees));
      });
    },

    remove: (owner) => repositories.remove(owner),
  };
}

/** The artifacts that spec.include names now. */
async function includedNow(deps: GitSourceDeps, object: GitRepository): Promise<IncludedArtifact[]> {
  if (!object.spec.include || object.spec.include.length === 0) return [];
  return await includedArtifacts(object, includeDeps(deps));
}

function includeDeps({ include }: GitSourceDeps): IncludeDeps {
  if (include) return include;
  throw failure('FeatureGateDisabled', 'spec.include is not available here: remove it');
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
function observedOf(
  { ignore, sparseCheckout, include, recurseSubmodules }: GitRepositorySpec,
  included: readonly IncludedArtifact[],
): ArchivedRevision['observed'] {
  return {
    ...(included.length > 0
      ? { observedInclude: include, includedArtifacts: included.map(({ artifact }) => artifact) }
      : {}),
    ...(ignore === undefined ? {} : { observedIgnore: ignore }),
    ...(recurseSubmodules ? { observedRecurseSubmodules: true } : {}),
    ...(sparseCheckout && sparseCheckout.length > 0 ? { observedSparseCheckout: sparseCheckout } : {}),
  };
}

const maxSubjectCharacters = 50;

/** First line of a commit message, cut after 50 characters. */
export function subjectOfCommit(message: string): string {
  const characters = [...(message.trimStart().split('\n', 1)[0] ?? '').trim()];
  if (characters.length <= maxSubjectCharacters) return characters.join('');
  return `${characters.slice(0, maxSubjectCharacters).join('')}...`;
}
