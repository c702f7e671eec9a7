// Artifacts whose file is gone or damaged are made again at once: whoever asks for one has its source woken, instead of
// waiting for the source's interval.
import type { ArtifactStore } from '../activities/artifact/artifact.ts';
import type { SourceObject } from '../activities/source/source-driver.ts';
import type { ExternalArtifact } from '../k8s/api/external-artifact.ts';
import { artifactKinds, type FluxObjects } from '../k8s/flux-objects.ts';
import type { ReconciledRef } from '../workflows/messages.ts';
import { generatorOf } from './events-to-wakes.ts';

export interface LostArtifacts {
  /**
   * Looks at the artifact of a path (`<kind>/<namespace>/<name>/<file>`) that somebody asks for. False when it is the
   * artifact that a status names and its file is not what the status says: then the source is woken. True otherwise, also
   * for a path that nobody's status names.
   */
  isIntact(path: string): Promise<boolean>;
  /** Where to send those that are to be woken. */
  onLost(listener: (source: ReconciledRef) => void): void;
}

/** Nobody is woken oftener, however often a lost file is asked for. */
const quietMs = 5_000;
const maxRemembered = 10_000;

export function createLostArtifacts(deps: {
  objects: Pick<FluxObjects, 'peek'>;
  store: Pick<ArtifactStore, 'verify'>;
}): LostArtifacts {
  const wokenAt = new Map<string, number>();
  let tell: (source: ReconciledRef) => void = () => undefined;

  return {
    async isIntact(path) {
      const [folder, namespace = '', name = ''] = path.split('/');
      const kind = artifactKinds.find((one) => one.toLowerCase() === folder);
      if (!kind || !name) return true;
      const object = deps.objects.peek(kind, { namespace, name });
      const { artifact } = (object as SourceObject | undefined)?.status ?? {};
      if (artifact?.path !== path || (await deps.store.verify(artifact))) return true;
      if (Date.now() - (wokenAt.get(path) ?? 0) > quietMs) {
        if (wokenAt.size >= maxRemembered) wokenAt.clear();
        wokenAt.set(path, Date.now());
        const isGenerated = kind === 'ExternalArtifact';
        const maker = isGenerated ? generatorOf(object as ExternalArtifact) : { kind, namespace, name };
        if (maker) tell(maker);
      }
      return false;
    },
    onLost(listener) {
      tell = listener;
    },
  };
}
