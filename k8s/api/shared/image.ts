// What the image kinds share.
import * as z from 'zod';
import type { KindVersion } from '../definition.ts';

/** v1 is stored; v1beta2 is served with the same schema, for manifests that were not migrated. */
export function imageVersions(kind: string): KindVersion[] {
  return [
    { name: 'v1', isStored: true },
    { name: 'v1beta2', isStored: false, deprecationWarning: `v1beta2 ${kind} is deprecated, use v1` },
  ];
}

/** An image that a policy selected. */
export const ImageRef = z.object({
  name: z.string().describe('Name of the image, without tag.'),
  tag: z.string().describe('Tag of the image.'),
  digest: z.string().optional().describe('Digest of the image.'),
});
export type ImageRef = z.infer<typeof ImageRef>;
