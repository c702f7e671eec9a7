// Fetch for consumers: the artifact is downloaded, verified and unpacked into this worker's cache.
import type { Artifact, UnpackedArtifacts } from './artifact.ts';

export type ArtifactActivities = ReturnType<typeof createArtifactActivities>;

export function createArtifactActivities(deps: { unpacked: UnpackedArtifacts }) {
  return {
    /** Fails with ArtifactFailed when the artifact cannot be had, is not what its digest says, or is unsafe. */
    async fetchArtifact({ artifact }: { artifact: Pick<Artifact, 'digest' | 'url' | 'revision'> }): Promise<void> {
      await deps.unpacked.get(artifact);
    },
  };
}
