// Pieces of a kustomization.yaml that Kustomizations and Helm post-renderers share, and what selects objects.
import * as z from 'zod';
import { stringMap } from './fields.ts';

/** Selects objects; all that is set must fit. */
export const ObjectSelector = z.object({
  group: z.string().optional().describe('API group.'),
  version: z.string().optional().describe('API version, without the group.'),
  kind: z.string().optional().describe('Kind.'),
  name: z.string().optional().describe('Name, as a regular expression.'),
  namespace: z.string().optional().describe('Namespace, as a regular expression.'),
  labelSelector: z.string().optional().describe('Label selector, e.g. `app=web,tier!=db`.'),
  annotationSelector: z.string().optional().describe('The same for annotations.'),
});
export type ObjectSelector = z.infer<typeof ObjectSelector>;

/** A patch of rendered objects. */
export const Patch = z.object({
  patch: z.string().describe('Strategic merge patch or JSON patch, as inline YAML.'),
  target: ObjectSelector.optional().describe('Objects to patch; unset: the object that the patch itself names.'),
});
export type Patch = z.infer<typeof Patch>;

/** A replacement of container images. */
export const ImageOverride = z.object({
  name: z.string().describe('Image name to look for, without tag.'),
  newName: z.string().optional().describe('Name to put in its place.'),
  newTag: z.string().optional().describe('Tag to put in its place.'),
  digest: z.string().optional().describe('Digest to put in place of the tag; wins over `newTag`.'),
});
export type ImageOverride = z.infer<typeof ImageOverride>;

/** Labels and annotations for every object. */
export const CommonMetadata = z
  .object({
    labels: stringMap('Labels to set.').optional(),
    annotations: stringMap('Annotations to set.').optional(),
  })
  .describe('Labels and annotations to set on every object; they win over those of the manifests.');
export type CommonMetadata = z.infer<typeof CommonMetadata>;

/** Changes that are left alone. */
export const DriftIgnoreRule = z.object({
  paths: z.array(z.string()).describe('JSON pointers (RFC 6901) of the fields to leave alone.'),
  target: ObjectSelector.optional().describe('Objects that the rule is for; unset: all.'),
});
export type DriftIgnoreRule = z.infer<typeof DriftIgnoreRule>;

/** How to tell the health of a kind in CEL. */
export const HealthCheckExpr = z.object({
  apiVersion: z.string().describe('API version of the objects.'),
  kind: z.string().optional().describe('Kind of the objects; unset: every kind of the API version.'),
  current: z.string().describe('CEL expression that is true when the object is ready.'),
  inProgress: z.string().optional().describe('CEL expression that is true while the object is under way.'),
  failed: z.string().optional().describe('CEL expression that is true when the object has failed.'),
});
export type HealthCheckExpr = z.infer<typeof HealthCheckExpr>;
