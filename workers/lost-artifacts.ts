// Artifacts whose file is gone or damaged are made again at once: whoever asks for one has its source woken, instead of
// waiting for the source's interval.
import type { ArtifactStore } from '../activities/artifact/artifact.ts';
import type { SourceObject } from '../activities/source/source-driver.ts';
import type { ExternalArtifact } from '../k8s/api/external-artifact.ts';
import { type FluxObjects, type SourceKind, sourceKinds } from '../k8s/flux-objects.ts';
import type { NamespacedName } from '../k8s/object.ts';
import type { ReconciledRef } from '../workflows/messages.ts';

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
      const kind = [...sourceKinds, 'ExternalArtifact' as const].find((one) => one.toLowerCase() === folder);
      if (!kind || !name) return true;
      const object = deps.objects.peek(kind, { namespace, name });
      const { artifact } = (object as SourceObject | undefined)?.status ?? {};
      if (artifact?.path !== path || (await deps.store.verify(artifact))) return true;
      if (Date.now() - (wokenAt.get(path) ?? 0) > quietMs) {
        if (wokenAt.size >= maxRemembered) wokenAt.clear();
        wokenAt.set(path, Date.now());
        const maker = makerOf(kind, object as ExternalArtifact, { namespace, name });
        if (maker) tell(maker);
      }
      return false;
    },
    onLost(listener) {
      tell = listener;
    },
  };
}

/** Who makes the artifact of an object: the object itself, or the ArtifactGenerator of an ExternalArtifact. */
function makerOf(
  kind: SourceKind | 'ExternalArtifact',
  { spec }: ExternalArtifact,
  own: NamespacedName,
): ReconciledRef | undefined {
  if (kind !== 'ExternalArtifact') return { kind, ...own };
  const { sourceRef } = spec;
  if (sourceRef?.kind !== 'ArtifactGenerator') return undefined;
  return { kind: 'ArtifactGenerator', namespace: own.namespace, name: sourceRef.name };
}
