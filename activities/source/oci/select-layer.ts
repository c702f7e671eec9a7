// Which image of an index and which layer of an image become the artifact (contract 1.2, layerSelector). Pure.
import type { Descriptor, OciManifest } from './registry-client.ts';

/** What an index is read for, on whatever machine: manifests have no platform, and all workers must agree. */
const platform = { os: 'linux', architecture: 'amd64' };

export function isIndex({ manifests, layers }: OciManifest): boolean {
  return manifests !== undefined && layers === undefined;
}

/**
 * The image of an index: the first one for linux/amd64, which one without a platform counts as. Throws an `Error` that
 * lists what there is.
 */
export function imageOfIndex({ manifests = [] }: OciManifest): Descriptor {
  const found = manifests.find(({ platform: { os, architecture } = platform }) => {
    return os === platform.os && architecture === platform.architecture;
  });
  if (found) return found;
  const there = manifests.map(({ platform: { os, architecture } = platform }) => `${os}/${architecture}`);
  throw new Error(`the index has no image for linux/amd64, it has ${there.slice(0, 20).join(', ') || 'none'}`);
}

/** The first layer, or the first one of a media type. Throws an `Error` that lists what there is. */
export function selectLayer({ layers = [] }: OciManifest, mediaType: string | undefined): Descriptor {
  const found = mediaType ? layers.find((layer) => layer.mediaType === mediaType) : layers[0];
  if (found) return found;
  if (layers.length === 0) throw new Error('it has no layers');
  const there = [...new Set(layers.map((layer) => `"${layer.mediaType}"`))].slice(0, 20).join(', ');
  throw new Error(`it has no layer of the media type "${mediaType}", its layers are of ${there}`);
}
