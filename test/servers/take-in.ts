// Takes in a source of unknown intent through the real code, and says how that ended.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createUnpackedArtifacts } from '../../activities/artifact/unpack.ts';
import { createGitSourceFixture, failureOf } from './git-source-fixture.ts';

export interface HowItEnded {
  reason?: string;
  message?: string;
  /** What was taken in; undefined when it was refused. */
  files?: string[];
}

/** `git` takes the branch main of a repository, `artifact` a tarball with this digest. */
export async function takeIn(kind: string, url: string, digest = ''): Promise<HowItEnded> {
  return kind === 'git' ? await takeRepository(url) : await takeArtifact(url, digest);
}

/** The same in a process of its own; `megabytes` is what that took beyond what it had after its start. */
export async function takeInApart(kind: string, url: string, digest = ''): Promise<HowItEnded & { megabytes: number }> {
  const child = join(import.meta.dirname, 'take-in-child.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [child, kind, url, digest]);
  return JSON.parse(stdout) as HowItEnded & { megabytes: number };
}

async function takeRepository(url: string): Promise<HowItEnded> {
  const fixture = createGitSourceFixture();
  try {
    fixture.use('demo', url);
    const work = fixture.reconcile('demo');
    const ended = await failureOf(work);
    if (ended.message !== 'did not fail') return ended;
    const { archived } = await work;
    return { files: archived && fixture.list(archived) };
  } finally {
    fixture.close();
  }
}

async function takeArtifact(url: string, digest: string): Promise<HowItEnded> {
  const directory = mkdtempSync(join(tmpdir(), 'continuo-hostile-'));
  try {
    const work = createUnpackedArtifacts({ directory, retries: 0 }).get({ url, digest, revision: 'main@sha1:1' });
    const ended = await failureOf(work);
    if (ended.message !== 'did not fail') return ended;
    return { files: [...(await work).files.keys()].sort() };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
