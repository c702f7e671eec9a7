// Git repositories over HTTP(S) and SSH: which commit a remote is at, and its objects in a kept store (one directory per
// object and URL) that is fetched incrementally, fetched anew when it is damaged or overgrown, and never checked out.
import { createHash } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { NamespacedName } from '../../../k8s/object.ts';
import { failure, messageOf } from '../../errors.ts';
import type { GitCredentials } from './credentials.ts';
import type { LargePackOptions } from './git-binary.ts';
import { isDamagedStore, isOvergrown, type ObjectStore, openObjectStore } from './object-store.ts';
import { describeMissingRef, prefixesOf, type RefPlan, type SelectedCommit, selectCommit } from './ref-selection.ts';
import { certificateHint, displayUrl, GitServerError, remoteFailure } from './remote-error.ts';
import { withStoreLock } from './store-lock.ts';
import { type GitTransport, openTransport } from './transport.ts';
import { type Advertisement, discover, type FetchPackRequest, fetchPack, listRefs } from './upload-pack.ts';

/** A remote for one operation. */
export interface GitRemote {
  /** `http(s)://…` without credentials, or `ssh://user@…`. */
  url: string;
  credentials: GitCredentials;
  /** spec.timeout: the longest time for a listing or a fetch. */
  timeoutMs: number;
  /** Ends the operation at once, with the signal's reason. */
  signal: AbortSignal;
}

export interface GitRepositoriesOptions extends LargePackOptions {
  /** Where the kept stores are. */
  directory: string;
  /** Largest pack stream of one fetch. @default 1 GiB */
  maxRepositoryBytes?: number;
}

export interface GitRepositories {
  /**
   * The commit that spec.ref selects now: one or two requests, no fetch, none at all for a bare commit. Fails with
   * AuthenticationFailed, EmptyGitRepository or GitOperationFailed (nothing fits, unreachable, TLS, timeout).
   */
  selectCommit(remote: GitRemote, plan: RefPlan): Promise<SelectedCommit>;
  /**
   * Runs `work` on the objects of a commit, fetching it when it is not kept. `work` runs a second time, on a fresh copy,
   * when the kept one turns out to be damaged. `remote` is asked for only when something must be fetched.
   */
  withCommit<T>(owner: NamespacedName, source: CommitSource, work: (objects: ObjectStore) => Promise<T>): Promise<T>;
  /** Deletes the kept stores of an object, except those of these URLs or store keys. */
  remove(owner: NamespacedName, ...kept: string[]): Promise<void>;
}

/** Where a commit is to be had. */
export interface CommitSource {
  commit: string;
  /** The tag object that is needed as well, to check its signature. */
  tag?: string;
  plan: RefPlan;
  url: string;
  /** What tells its kept store from the object's others. @default the URL */
  storeKey?: string;
  signal: AbortSignal;
  remote(): Promise<GitRemote>;
}

const defaultMaxRepositoryBytes = 1024 ** 3;
const advertisementMaxAgeMs = 600_000;
const maxAdvertisements = 5_000;

export function createGitRepositories(options: GitRepositoriesOptions): GitRepositories {
  const { directory, maxRepositoryBytes = defaultMaxRepositoryBytes } = options;
  /** What servers of protocol 2 said of themselves: it spares the first request of every poll. */
  const advertisements = new Map<string, { server: Advertisement; sinceMs: number }>();

  /** Runs requests against the server; a remembered advertisement that leads to an error is asked for again once. */
  async function withServer<T>(
    remote: GitRemote,
    transport: GitTransport,
    signal: AbortSignal,
    work: (server: Advertisement) => Promise<T>,
  ): Promise<T> {
    const known = transport.isStateless ? advertisements.get(remote.url) : undefined;
    if (known && Date.now() - known.sinceMs < advertisementMaxAgeMs) {
      try {
        return await work(known.server);
      } catch (error) {
        advertisements.delete(remote.url);
        if (signal.aborted || error instanceof GitServerError) throw error;
      }
    }
    const server = await discover(transport, signal);
    if (server.capabilities.has('object-format=sha256')) {
      throw new Error(
        'the repository has SHA-256 object ids, which are not supported: push its content to one with SHA-1, the default of Git',
      );
    }
    if (server.version === 2 && transport.isStateless) {
      if (advertisements.size >= maxAdvertisements) advertisements.clear();
      advertisements.set(remote.url, { server, sinceMs: Date.now() });
    }
    return await work(server);
  }

  async function select(remote: GitRemote, plan: RefPlan): Promise<SelectedCommit> {
    const url = displayUrl(remote.url);
    // A commit that is named needs no listing.
    const named = plan.kind === 'commit' ? selectCommit(plan, []) : undefined;
    if (named) return named;
    return await bounded(remote, `listing the refs of ${url}`, async (signal, transport) => {
      return await withServer(remote, transport, signal, async (server) => {
        const refs = await listRefs(transport, server, prefixesOf(plan), signal);
        const selected = selectOrExplain(plan, refs);
        if (selected) return selected;
        const all = await listRefs(transport, server, [], signal);
        throw missingRef(url, plan, all);
      });
    });
  }

  async function fetchCommit(store: ObjectStore, source: CommitSource): Promise<void> {
    const remote = await source.remote();
    const url = displayUrl(remote.url);
    const { commit, plan, tag } = source;
    await bounded(remote, `fetching ${url}`, async (signal, transport) => {
      if (isOvergrown(store.state)) await store.drop();
      await withServer(remote, transport, signal, async (server) => {
        const isShallow = canFetchShallow(server);
        const { head } = store.state;
        const wants = tag ? [commit, tag] : [commit];
        const request: FetchPackRequest = { wants, haves: head ? [head] : [], shallows: [] };
        if (head && store.state.isShallow) request.shallows = [head];
        if (isShallow) request.depth = 1;
        try {
          await store.addPack(fetchPack(transport, server, request, signal), maxRepositoryBytes, signal);
          await store.keep(commit, isShallow);
        } catch (error) {
          // Some servers give out only what a ref points to: then the commit is in the history of one of them.
          if (!(error instanceof GitServerError) || plan.kind !== 'commit') throw error;
          await fetchHistory(store, transport, server, plan, signal);
          if (!(await store.hasCommit(commit))) {
            const where = plan.ref ? `ref "${plan.ref}"` : 'any branch';
            throw failure(
              'GitOperationFailed',
              `commit "${commit}" was not found in the history of ${where} of ${url}`,
            );
          }
        }
      });
    });
  }

  /** All of the history of the branch that spec.ref names beside a commit, or of every branch. */
  async function fetchHistory(
    store: ObjectStore,
    transport: GitTransport,
    server: Advertisement,
    plan: RefPlan & { kind: 'commit' },
    signal: AbortSignal,
  ): Promise<void> {
    const refs = await listRefs(transport, server, [plan.ref ?? 'refs/heads/'], signal);
    const fitting = refs.filter((ref) => plan.ref === undefined || ref.name === plan.ref);
    const wants = [...new Set(fitting.map((ref) => ref.peeledOid ?? ref.oid))];
    const [head] = wants;
    if (head === undefined) throw new Error(plan.ref ? `ref "${plan.ref}" was not found` : 'there is no branch');
    await store.drop();
    const history = fetchPack(transport, server, { wants, haves: [], shallows: [] }, signal);
    await store.addPack(history, maxRepositoryBytes, signal);
    await store.keep(head, false);
  }

  async function withCommit<T>(
    owner: NamespacedName,
    source: CommitSource,
    work: (objects: ObjectStore) => Promise<T>,
  ): Promise<T> {
    const name = storeName(owner, source.storeKey ?? source.url);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return await withStoreLock(join(directory, `${name}.lock`), source.signal, async () => {
      const store = await openObjectStore(join(directory, name), options);
      for (let attempt = 1; ; attempt++) {
        try {
          if (!(await hasAll(store, source))) await fetchCommit(store, source);
          return await work(store);
        } catch (error) {
          source.signal.throwIfAborted();
          if (!isDamagedStore(error)) throw error;
          await store.drop();
          if (attempt === 1) continue;
          throw failure(
            'GitOperationFailed',
            `the copy of ${displayUrl(source.url)} is damaged, also after it was fetched anew: ${messageOf(error)}`,
            { cause: error },
          );
        } finally {
          store.close();
        }
      }
    });
  }

  async function remove(owner: NamespacedName, ...keys: string[]): Promise<void> {
    const kept = keys.map((key) => storeName(owner, key));
    const names = await readdir(directory).catch(() => []);
    for (const name of names) {
      if (!name.startsWith(storePrefix(owner)) || kept.some((prefix) => name.startsWith(prefix))) continue;
      await rm(join(directory, name), { recursive: true, force: true });
    }
  }

  return { selectCommit: select, withCommit, remove };
}

/** Names of Kubernetes objects hold no `_`, so no prefix is the prefix of another object's. */
function storePrefix(owner: NamespacedName): string {
  return `${owner.namespace}_${owner.name}_`;
}

function storeName(owner: NamespacedName, key: string): string {
  return storePrefix(owner) + createHash('sha256').update(key).digest('hex').slice(0, 16);
}

async function hasAll(store: ObjectStore, { commit, tag }: CommitSource): Promise<boolean> {
  if (!(await store.hasCommit(commit))) return false;
  return tag === undefined || (await store.hasTag(tag));
}

function canFetchShallow(server: Advertisement): boolean {
  if (server.version === 1) return server.capabilities.has('shallow');
  const fetch = [...server.capabilities].find((capability) => capability.startsWith('fetch='));
  return fetch?.slice('fetch='.length).split(' ').includes('shallow') ?? false;
}

function selectOrExplain(plan: RefPlan, refs: Parameters<typeof selectCommit>[1]): SelectedCommit | undefined {
  try {
    return selectCommit(plan, refs);
  } catch (error) {
    throw failure('GitOperationFailed', `spec.ref.semver: ${messageOf(error)}`, { cause: error });
  }
}

function missingRef(url: string, plan: RefPlan, refs: Parameters<typeof selectCommit>[1]): Error {
  if (refs.length === 0) {
    return failure('EmptyGitRepository', `git repository ${url} is empty: push a first commit`);
  }
  return failure('GitOperationFailed', `git repository ${url}: ${describeMissingRef(plan, refs)}`);
}

/** Runs a network operation within the remote's timeout and turns what it throws into a failure. */
async function bounded<T>(
  remote: GitRemote,
  operation: string,
  work: (signal: AbortSignal, transport: GitTransport) => Promise<T>,
): Promise<T> {
  remote.signal.throwIfAborted();
  const transport = openTransport(remote.url, remote.credentials);
  const timeout = AbortSignal.timeout(remote.timeoutMs);
  try {
    return await work(AbortSignal.any([remote.signal, timeout]), transport);
  } catch (error) {
    remote.signal.throwIfAborted();
    if (timeout.aborted) {
      const seconds = remote.timeoutMs / 1000;
      throw failure('GitOperationFailed', `${operation} timed out after ${seconds}s: the limit is spec.timeout`);
    }
    if (error instanceof Error && error.name === 'ApplicationFailure') throw error;
    if (isDamagedStore(error)) throw error;
    const hint = certificateHint(remote.url, remote.credentials.tls?.certificate !== undefined);
    throw remoteFailure(operation, error, 'GitOperationFailed', hint);
  } finally {
    transport.close();
  }
}
