// Pieces of status that many kinds share.
import * as z from 'zod';
import { int64, stringMap, timestamp } from './fields.ts';

/** A condition with the limits of `metav1.Condition`. */
export const Condition = z.object({
  type: z
    .string()
    .max(316)
    .regex(
      /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$/,
    )
    .describe('What the condition is about, e.g. `Ready`.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Whether it holds.'),
  observedGeneration: int64('The generation of the object that the condition speaks of.').min(0).optional(),
  lastTransitionTime: timestamp('When `status` last changed.'),
  reason: z
    .string()
    .min(1)
    .max(1024)
    .regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/)
    .describe('One word for programs: why it is so.'),
  message: z.string().max(32768).describe('The same for people.'),
});
export type Condition = z.infer<typeof Condition>;

/** `conditions`, of every kind with a status. */
export const conditions = z.array(Condition).optional().describe('What is known of the object.');

/** `lastHandledReconcileAt`, of every reconciled kind. */
export const lastHandledReconcileAt = z
  .string()
  .optional()
  .describe('The value of the annotation `reconcile.fluxcd.io/requestedAt` that the last run answered.');

/** `observedGeneration`, of every kind but the ArtifactGenerator and the ExternalArtifact. */
export const observedGeneration = int64('The last generation that was reconciled.').optional();

/** `status.artifact` (contract 1.0). */
export const ArtifactStatus = z.object({
  digest: z
    .string()
    .regex(/^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/)
    .describe('Digest of the file, `<algorithm>:<checksum>`.'),
  path: z.string().describe('Path of the file below the root of the artifact store.'),
  url: z.string().describe('Where consumers download the file.'),
  revision: z.string().describe('Name of the content in its origin, e.g. `main@sha1:<commit>`.'),
  lastUpdateTime: timestamp('When the file was made.'),
  size: int64('Size of the file in bytes.').optional(),
  metadata: stringMap('What the origin says of the content, e.g. OCI annotations.').optional(),
});
export type ArtifactStatus = z.infer<typeof ArtifactStatus>;

/** `artifact`, of every source. */
export const artifact = ArtifactStatus.optional().describe('The content that consumers get.');

/** `observedIgnore`, of the sources that have `spec.ignore`. */
export const observedIgnore = z.string().optional().describe('`spec.ignore` as it was for the artifact.');

/** `url`, of the sources that have a stable link. */
export const artifactUrl = z
  .string()
  .optional()
  .describe('Link to the newest artifact; `artifact.url` is the exact one.');

/** `inventory`: the objects that were applied. */
export const Inventory = z
  .object({
    entries: z
      .array(
        z.object({
          id: z.string().describe('`<namespace>_<name>_<group>_<Kind>`.'),
          v: z.string().describe('API version of the object.'),
        }),
      )
      .describe('One entry for each applied object.'),
  })
  .describe('The objects that belong to this one.');
export type Inventory = z.infer<typeof Inventory>;
