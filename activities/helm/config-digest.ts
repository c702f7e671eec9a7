// Digests by which a release knows whether what it was made from has changed (contract 2.2, "values" and "state").
import { createHash } from 'node:crypto';
import type { HelmReleaseSpec } from '../../k8s/api/helm-release.ts';
import type { Values } from './values-map.ts';
import { goJson } from './go-json.ts';
import { writeValuesYaml } from './values-yaml.ts';

/** `sha256:<hex>` of the values as key-sorted YAML; no values give the digest of nothing. */
export function configDigestOf(values: Values): string {
  return sha256(Object.keys(values).length > 0 ? writeValuesYaml(values) : '');
}

/** Digest of `spec.postRenderers`, for `status.observedPostRenderersDigest`; '' when there are none. */
export function postRenderersDigestOf(postRenderers: HelmReleaseSpec['postRenderers']): string {
  if (!postRenderers) return '';
  const ordered = postRenderers.map(({ kustomize }) => ({
    kustomize: kustomize && {
      patches: emptyAsUnset(
        kustomize.patches?.map(({ patch, target }) => ({
          patch,
          target: target && {
            group: target.group,
            version: target.version,
            kind: target.kind,
            namespace: target.namespace,
            name: target.name,
            annotationSelector: target.annotationSelector,
            labelSelector: target.labelSelector,
          },
        })),
      ),
      images: emptyAsUnset(
        kustomize.images?.map(({ name, newName, newTag, digest }) => ({ name, newName, newTag, digest })),
      ),
    },
  }));
  return sha256(`${goJson(ordered)}\n`);
}

/** Digest of `spec.commonMetadata`, for `status.observedCommonMetadataDigest`; '' when it is unset. */
export function commonMetadataDigestOf(metadata: HelmReleaseSpec['commonMetadata']): string {
  if (!metadata) return '';
  const sorted = (map: Record<string, string> | undefined) =>
    map && Object.keys(map).length > 0 ? new Map(Object.entries(map)) : undefined;
  return sha256(`${goJson({ annotations: sorted(metadata.annotations), labels: sorted(metadata.labels) })}\n`);
}

function emptyAsUnset<T>(list: T[] | undefined): T[] | undefined {
  return list && list.length > 0 ? list : undefined;
}

function sha256(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}
