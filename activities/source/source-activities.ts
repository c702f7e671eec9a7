// The stages of a source: find the revision, archive it, collect what is old. Everything large stays in the artifact
// store and in the kept Git store; results are a few hundred bytes.
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Context } from '@temporalio/activity';
import type { GitRepository, GitRepositorySpec } from '../../k8s/api/git-repository.ts';
import { parseDuration } from '../../k8s/duration.ts';
import type { NamespacedName } from '../../k8s/object.ts';
import type { Artifact, ArtifactOwner, ArtifactStore } from '../artifact/artifact.ts';
import { failure, messageOf } from '../errors.ts';
import { createByteCache } from './byte-cache.ts';
import { credentialsFromSecret, splitUrlCredentials } from './git/credentials.ts';
import { planRef, type RefPlan } from './git/ref-selection.ts';
import { createGitRepositories, type GitRemote } from './git/repositories.ts';
import { filesOfTree } from './tree-files.ts';
import { refuseUnsupported } from './unsupported.ts';

/** What the stages need from outside. */
export interface SourceDeps {
  store: ArtifactStore;
  /** The kept Git stores are under `<dataDirectory>/git`. */
  dataDirectory: string;
  /** The decoded data of a Secret, or undefined when it does not exist. */
  readSecret(namespace: string, name: string): Promise<Record<string, Uint8Array> | undefined>;
  /** The live object, or undefined when it is gone. */
  gitRepository(ref: NamespacedName): Promise<GitRepository | undefined>;
  /** Largest pack stream of one fetch. @default 1 GiB */
  maxRepositoryBytes?: number;
  /** Trees and small files kept in memory between commits. @default 64 MiB */
  objectCacheBytes?: number;
  /** Tells that the stage is alive; called every two seconds. @default the heartbeat of the running activity */
  heartbeat?: () => void;
  /** Ends the stage. @default the cancellation of the running activity */
  signal?: () => AbortSignal;
}

export interface FetchRevisionInput {
  source: NamespacedName;
  /** Generation that was observed; the stage reads the live object in any case. */
  generation: number;
}

export interface FetchedRevision {
  /** e.g. `main@sha1:<40 hex>`. */
  revision: string;
  commit: string;
  /** The artifact in the status is of this revision and of this spec, and its file is intact. */
  isUnchanged: boolean;
  /** First line of the commit's message, at most 50 characters and `...`; empty when nothing was fetched. */
  commitSubject: string;
  /** Full name of the ref that led to the commit. */
  refName?: string;
}

export interface ArchiveRevisionInput {
  source: NamespacedName;
  generation: number;
  revision: string;
  commit: string;
  commitSubject: string;
}

/** `status.observed*`: the spec fields that shaped the artifact. */
export interface ObservedSourceSpec {
  ignore?: string;
  sparseCheckout?: string[];
}

export interface ArchivedRevision {
  artifact: Artifact;
  /** The digest differs from that of the artifact in the status. */
  isNew: boolean;
  /** For the event: `stored artifact for commit '<subject>'`. */
  message: string;
  /** For the condition: `stored artifact for revision '<revision>'`. */
  conditionMessage: string;
  fileCount: number;
  /** Bytes of all files before packing. */
  sizeBytes: number;
  observed: ObservedSourceSpec;
}

export interface CollectArtifactGarbageInput extends ArtifactOwner {
  /** The artifact that stays in any case. */
  current?: Artifact;
}

export interface SourceActivities {
  fetchRevision(input: FetchRevisionInput): Promise<FetchedRevision>;
  archiveRevision(input: ArchiveRevisionInput): Promise<ArchivedRevision>;
  /** Deletes the artifacts and the kept Git stores of an object that is being deleted. */
  removeArtifacts(owner: NamespacedName & { kind?: string }): Promise<void>;
  /** Applies retention (contract 1.0); gives the number of files removed. */
  collectArtifactGarbage(input: CollectArtifactGarbageInput): Promise<{ removedCount: number }>;
}

const kind = 'GitRepository';
const heartbeatIntervalMs = 2_000;

export function createSourceActivities(deps: SourceDeps): SourceActivities {
  const { store } = deps;
  const repositories = createGitRepositories({
    directory: join(deps.dataDirectory, 'git'),
    maxRepositoryBytes: deps.maxRepositoryBytes,
  });
  const cache = createByteCache(deps.objectCacheBytes ?? 64 * 1024 * 1024);

  async function fetchRevision({ source }: FetchRevisionInput): Promise<FetchedRevision> {
    return await running(deps, async (signal) => {
      const object = await liveObject(deps, source);
      const { spec } = object;
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
    });
  }

  async function archiveRevision(input: ArchiveRevisionInput): Promise<ArchivedRevision> {
    const { source, commit, revision, commitSubject } = input;
    return await running(deps, async (signal) => {
      const { spec, status } = await liveObject(deps, source);
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
        const artifact = await store.publish({ kind, ...source }, `${commit}.tar.gz`, revision, files);
        return {
          artifact,
          isNew: artifact.digest !== status?.artifact?.digest,
          message: `stored artifact for commit '${commitSubject}'`,
          conditionMessage: `stored artifact for revision '${revision}'`,
          fileCount: files.length,
          sizeBytes,
          observed: observedOf(spec),
        };
      });
    });
  }

  return {
    fetchRevision,
    archiveRevision,
    async removeArtifacts({ namespace, name, kind: ownerKind = kind }) {
      await store.removeAll({ kind: ownerKind, namespace, name });
      if (ownerKind === kind) await repositories.remove({ namespace, name });
    },
    async collectArtifactGarbage({ current, kind: ownerKind, namespace, name }) {
      const removed = await store.collectGarbage({ kind: ownerKind, namespace, name }, current);
      return { removedCount: removed.length };
    },
  };
}

async function liveObject(deps: SourceDeps, source: NamespacedName): Promise<GitRepository> {
  const object = await deps.gitRepository(source);
  if (object) return object;
  throw failure('GitOperationFailed', `${kind}/${source.namespace}/${source.name} does not exist any more`);
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
  deps: SourceDeps,
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
  const { status, spec } = object;
  const artifact = status?.artifact;
  if (!artifact || artifact.revision !== revision || artifact.url !== store.urlOf(artifact.path)) return false;
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
  return isDeepStrictEqual(observed, wanted) && (await store.verify(artifact));
}

function observedOf(spec: GitRepositorySpec): ObservedSourceSpec {
  const observed: ObservedSourceSpec = {};
  if (spec.ignore !== undefined) observed.ignore = spec.ignore;
  if (spec.sparseCheckout && spec.sparseCheckout.length > 0) observed.sparseCheckout = spec.sparseCheckout;
  return observed;
}

const maxSubjectCharacters = 50;

/** First line of a commit message, cut after 50 characters. */
export function subjectOfCommit(message: string): string {
  const characters = [...(message.trimStart().split('\n')[0] ?? '').trim()];
  if (characters.length <= maxSubjectCharacters) return characters.join('');
  return `${characters.slice(0, maxSubjectCharacters).join('')}...`;
}

/** Runs a stage with its heartbeat and cancellation. Outside of an activity both are as `deps` say, or absent. */
async function running<T>(deps: SourceDeps, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const activity = currentActivity();
  const heartbeat = deps.heartbeat ?? (() => activity?.heartbeat());
  const signal = deps.signal?.() ?? activity?.cancellationSignal ?? new AbortController().signal;
  const timer = setInterval(heartbeat, heartbeatIntervalMs);
  try {
    heartbeat();
    return await work(signal);
  } finally {
    clearInterval(timer);
  }
}

function currentActivity(): Context | undefined {
  try {
    return Context.current();
  } catch {
    return undefined; // not inside of an activity: a test, or the CLI
  }
}
