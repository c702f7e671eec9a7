// The recorded signatures of test/fixtures/git-signatures: their objects by id, and repositories put together from them.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(import.meta.dirname, '..', 'fixtures', 'git-signatures');

export interface RecordedObject {
  oid: string;
  type: 'commit' | 'tag';
  content: Buffer;
}

/** A file of the folder, e.g. `alice.asc`. */
export function signatureFixture(file: string): Buffer {
  return readFileSync(join(folder, file));
}

/** A recorded object, e.g. `pgp-alice.commit`. */
export function recordedObject(file: string): RecordedObject {
  const type = file.endsWith('.tag') ? 'tag' : 'commit';
  return objectOf(type, signatureFixture(file));
}

export function objectOf(type: RecordedObject['type'], content: Buffer): RecordedObject {
  const oid = createHash('sha1').update(`${type} ${content.length}\0`).update(content).digest('hex');
  return { oid, type, content };
}

/** Writes objects into a bare repository, with the root commit and its file; refs are full names. */
export function writeSignedObjects(
  bareDirectory: string,
  objects: readonly RecordedObject[],
  refs: Record<string, string>,
): void {
  const git = (args: string[], input?: string | Buffer): string =>
    execFileSync('git', args, { cwd: bareDirectory, input, encoding: 'utf8', stdio: 'pipe' }).trim();
  const blob = git(['hash-object', '-w', '--stdin'], 'kind: ConfigMap\n');
  git(['mktree'], `100644 blob ${blob}\tapp.yaml\n`);
  for (const { type, content } of [recordedObject('unsigned.commit'), ...objects]) {
    git(['hash-object', '-w', '--literally', '-t', type, '--stdin'], content);
  }
  for (const [name, oid] of Object.entries(refs)) git(['update-ref', name, oid]);
}
