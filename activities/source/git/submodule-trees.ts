// spec.recurseSubmodules: the trees of submodules beside that of the commit, each from a kept store of its own. The
// commits of submodules are part of the commit, so an unchanged head costs nothing here.
import type { NamespacedName } from '../../../k8s/object.ts';
import { failure } from '../../errors.ts';
import type { GitCredentials } from './credentials.ts';
import type { ObjectStore } from './object-store.ts';
import { displayUrl } from './remote-error.ts';
import type { CommitSource, GitRemote, GitRepositories } from './repositories.ts';
import { isSameServer, maxModulesFileBytes, parseModules, submoduleUrl } from './submodules.ts';

/** The root tree of a submodule's commit, and where its objects are. */
export interface MountedTree {
  objects: ObjectStore;
  tree: string;
}

/** By path in the whole tree. */
export type MountedTrees = ReadonlyMap<string, MountedTree>;

interface Wanted {
  /** In the whole tree. */
  path: string;
  url: string;
  commit: string;
  depth: number;
}

/** As deep as Flux follows them; a chain of submodules could be made without end. */
const maxDepth = 10;
const maxSubmodules = 100;

/**
 * Runs `work` with the trees of all submodules of a commit, nested ones as well, in kept stores that are locked until it
 * ends. Credentials go to submodules on the server of the repository and to no other. Fails with GitOperationFailed for
 * what is not allowed in `.gitmodules`, for submodules too deep or too many, and as a fetch fails; with
 * AuthenticationFailed for a submodule over SSH on another server.
 */
export async function withSubmodules<T>(
  repositories: GitRepositories,
  owner: NamespacedName,
  root: CommitSource & { objects: ObjectStore },
  work: (mounts: MountedTrees) => Promise<T>,
): Promise<T> {
  const { commit, objects, signal, url } = root;
  const mounts = new Map<string, MountedTree>();
  const keys: string[] = [url];

  async function mount(pending: readonly Wanted[]): Promise<T> {
    const [next, ...rest] = pending;
    if (!next) {
      await repositories.remove(owner, ...keys);
      return await work(mounts);
    }
    if (next.depth > maxDepth) throw refuse(next, `it is nested more than ${maxDepth} deep`);
    if (mounts.size + pending.length > maxSubmodules) {
      throw refuse(next, `the commit has more than the ${maxSubmodules} submodules allowed`);
    }
    // The same repository may be there twice, at two commits: each path has a store of its own.
    const storeKey = `${next.url} ${next.path}`;
    keys.push(storeKey);
    const from: CommitSource = {
      commit: next.commit,
      plan: { kind: 'commit', commit: next.commit },
      url: next.url,
      storeKey,
      signal,
      remote: async () => remoteFor(await root.remote(), next),
    };
    return await repositories.withCommit(owner, from, async (inner) => {
      const { tree } = await inner.readCommit(next.commit);
      mounts.set(next.path, { objects: inner, tree });
      return await mount([...rest, ...(await submodulesOf(inner, tree, next))]);
    });
  }

  const { tree } = await objects.readCommit(commit);
  return await mount(await submodulesOf(objects, tree, { path: '', url, depth: 0 }));
}

/** The submodules that a tree has and its `.gitmodules` names; as Git and Flux, the others are left out. */
async function submodulesOf(
  objects: ObjectStore,
  tree: string,
  parent: Pick<Wanted, 'path' | 'url' | 'depth'>,
): Promise<Wanted[]> {
  const file = (await objects.readTree(tree)).find((entry) => entry.name === '.gitmodules');
  if (!file || file.type !== 'blob') return [];
  if (!file.mode.startsWith('100')) throw failure('GitOperationFailed', '.gitmodules is no regular file');
  const content = await objects.readBlob(file.oid);
  if (content.byteLength > maxModulesFileBytes) {
    throw failure('GitOperationFailed', `.gitmodules has more than the ${maxModulesFileBytes} bytes allowed`);
  }
  const found = new Map<string, Wanted>();
  for (const { path, url } of parseModules(Buffer.from(content).toString('utf8'))) {
    const commit = await gitlinkAt(objects, tree, path);
    if (commit === undefined) continue;
    const whole = parent.path ? `${parent.path}/${path}` : path;
    found.set(whole, { path: whole, url: submoduleUrl(parent.url, url), commit, depth: parent.depth + 1 });
  }
  return [...found.values()];
}

async function gitlinkAt(objects: ObjectStore, tree: string, path: string): Promise<string | undefined> {
  let oid = tree;
  const parts = path.split('/');
  for (const [index, name] of parts.entries()) {
    const isLast = index === parts.length - 1;
    const type = isLast ? 'commit' : 'tree';
    const entry = (await objects.readTree(oid)).find((candidate) => candidate.name === name && candidate.type === type);
    if (!entry) return undefined;
    oid = entry.oid;
  }
  return oid;
}

function remoteFor(parent: GitRemote, { url, path }: Wanted): GitRemote {
  if (isSameServer(parent.url, url)) return { ...parent, url };
  if (url.startsWith('ssh:')) {
    throw failure(
      'AuthenticationFailed',
      `submodule "${path}" is at ${displayUrl(url)}, and the credentials for ${displayUrl(parent.url)} are not sent to ` +
        'another server: use a relative URL in .gitmodules, or one over https:// that needs no login',
    );
  }
  const { tls, proxy } = parent.credentials;
  const credentials: GitCredentials = {
    origin: 'no credentials',
    whyNone: `it is that of submodule "${path}", and the credentials for ${displayUrl(parent.url)} are not sent to another server`,
    ...(tls?.ca === undefined ? {} : { tls: { ca: tls.ca } }),
    ...(proxy ? { proxy } : {}),
  };
  return { ...parent, url, credentials };
}

function refuse({ path, url }: Wanted, why: string): ReturnType<typeof failure> {
  return failure('GitOperationFailed', `submodule "${path}" (${displayUrl(url)}) is not fetched: ${why}`);
}
