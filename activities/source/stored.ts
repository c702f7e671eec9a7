// Whether the artifact that a status names is still what the revision needs.
import type { ArtifactStore } from '../artifact/artifact.ts';
import type { SourceObject } from './source-driver.ts';

/** True when the artifact in the status is of this revision, under the address of now, and its file is intact. */
export async function isStored(store: ArtifactStore, { status }: SourceObject, revision: string): Promise<boolean> {
  const artifact = status?.artifact;
  if (artifact?.revision !== revision || artifact.url !== store.urlOf(artifact.path)) return false;
  return await store.verify(artifact);
}
