// What the fixtures of all sources are made of: a directory with an artifact store, Secrets that are plain values, and a
// look into what was archived.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ArtifactStore } from '../../activities/artifact/artifact.ts';
import { createFileArtifactStore } from '../../activities/artifact/file-store.ts';
import type { ArchivedRevision } from '../../activities/source/source-driver.ts';

export interface SourceFixture<Value extends string | Uint8Array = string> {
  directory: string;
  store: ArtifactStore;
  /** The store as those have it who read from it. */
  localStore: { directory: string; baseUrl: string };
  /** `<namespace>/<name>` → data. */
  secrets: Record<string, Record<string, Value>>;
  readSecret(namespace: string, name: string): Promise<Record<string, Uint8Array> | undefined>;
  fileOf(archived: ArchivedRevision): string;
  /** The names in an artifact. */
  list(archived: ArchivedRevision): string[];
  read(archived: ArchivedRevision, path: string): string;
  close(): void;
}

export function createSourceFixture<Value extends string | Uint8Array = string>(): SourceFixture<Value> {
  const directory = mkdtempSync(join(tmpdir(), 'continuo-source-'));
  const localStore = { directory: join(directory, 'artifacts'), baseUrl: 'http://artifacts.test/' };
  const secrets: SourceFixture<Value>['secrets'] = {};
  const fileOf: SourceFixture['fileOf'] = ({ artifact }) => join(localStore.directory, artifact.path);
  const tar = (...args: string[]): string => execFileSync('tar', args, { encoding: 'utf8' });
  return {
    directory,
    store: createFileArtifactStore({ directory: localStore.directory, advertisedAddress: 'artifacts.test' }),
    localStore,
    secrets,
    async readSecret(namespace, name) {
      const data = secrets[`${namespace}/${name}`];
      if (!data) return undefined;
      return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value as string)]));
    },
    fileOf,
    list: (archived) => tar('-tzf', fileOf(archived)).trim().split('\n'),
    read: (archived, path) => tar('-xzOf', fileOf(archived), path),
    close: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** Reason and message of what a promise fails with. */
export async function failureOf(promise: Promise<unknown>): Promise<{ reason: string; message: string }> {
  const error = (await promise.then(
    () => new Error('did not fail'),
    (thrown: unknown) => thrown,
  )) as Error & { type?: string };
  return { reason: error.type ?? error.name, message: error.message };
}
