// What the Git repository of a folder says of its content: the source and the revision of an artifact that is pushed
// from there. Read without the git command, which an image for pipelines need not have.
import fs from 'node:fs';
import { relative, resolve } from 'node:path';
import git from 'isomorphic-git';

/** A folder under version control. */
export interface WorkingTree {
  /** Address of the remote `origin`, without credentials; undefined when there is none. */
  source?: string;
  /** `<branch>@sha1:<commit>`, or `sha1:<commit>` when no branch is checked out. */
  revision: string;
  /** Below the folder something differs from the commit. */
  isChanged: boolean;
}

/** Looks at the repository that a folder or file is in; undefined when it is in none, or in one without a commit. */
export async function workingTreeOf(path: string): Promise<WorkingTree | undefined> {
  const filepath = resolve(path);
  const dir = await git.findRoot({ fs, filepath }).catch(() => undefined);
  const commit = dir && (await git.resolveRef({ fs, dir, ref: 'HEAD' }).catch(() => undefined));
  if (!dir || !commit) return undefined;
  const branch = await git.currentBranch({ fs, dir });
  const remotes = await git.listRemotes({ fs, dir });
  const origin = remotes.find(({ remote }) => remote === 'origin')?.url;
  const below = relative(dir, filepath) || '.';
  const files = await git.statusMatrix({ fs, dir, filepaths: [below.replaceAll('\\', '/')] });
  return {
    ...(origin ? { source: withoutCredentials(origin) } : {}),
    revision: branch ? `${branch}@sha1:${commit}` : `sha1:${commit}`,
    isChanged: files.some(([, head, workdir, stage]) => head !== 1 || workdir !== 1 || stage !== 1),
  };
}

function withoutCredentials(address: string): string {
  return address.replace(/^(https?:\/\/)[^/@]*@/, '$1');
}
