// Receiver (contract 1.10): a webhook that makes objects reconcile.
import * as z from 'zod';
import type { KubeObject } from '../object.ts';
import {
  ageColumn,
  fluxFinalizer,
  type KindDefinition,
  messageColumn,
  neverObserved,
  readyColumn,
} from './definition.ts';
import { duration, withRules } from './shared/fields.ts';
import { EventObjectRef, localRef } from './shared/reference.ts';
import { conditions, lastHandledReconcileAt, observedGeneration } from './shared/status.ts';

/** Every type of receiver (contract 1.10). */
export const receiverTypes = [
  'generic',
  'generic-hmac',
  'generic-oidc',
  'github',
  'gitlab',
  'bitbucket',
  'harbor',
  'dockerhub',
  'quay',
  'gcr',
  'nexus',
  'acr',
  'cdevents',
] as const;
export type ReceiverType = (typeof receiverTypes)[number];

/** An issuer whose tokens are trusted. */
export const OidcProvider = z.object({
  issuerURL: z
    .string()
    .regex(/^https?:\/\//)
    .describe('Address of the issuer, as in the claim `iss`.'),
  audience: z.string().optional().describe('What the claim `aud` must hold; unset: `notification-controller`.'),
  variables: z
    .array(
      z.object({
        name: z.string().describe('Name; the value is `vars.<name>` in later expressions.'),
        expression: z.string().describe('CEL expression over `claims` and earlier `vars`.'),
      }),
    )
    .optional()
    .describe('Values for the validations.'),
  validations: z
    .array(
      z.object({
        expression: z.string().describe('CEL expression over `claims` and `vars` that must be true.'),
        message: z.string().describe('What the caller is told when it is not.'),
      }),
    )
    .min(1)
    .describe('What a token must satisfy; a valid signature alone proves nothing about who calls.'),
});
export type OidcProvider = z.infer<typeof OidcProvider>;

/** An object to reconcile. */
export const ReceiverResource = EventObjectRef.extend({
  filter: z
    .string()
    .optional()
    .describe('CEL expression over `req`, `res` and `claims` that must be true for this entry.'),
});
export type ReceiverResource = z.infer<typeof ReceiverResource>;

export const ReceiverSpec = withRules(
  z.object({
    type: z.enum(receiverTypes).describe('Who calls, which decides how the request is verified.'),
    events: z.array(z.string()).optional().describe('Events to act on; unset: all.'),
    resources: z.array(ReceiverResource).describe('The objects to reconcile.'),
    resourceFilter: z
      .string()
      .optional()
      .describe('CEL expression over `req`, `res` and `claims` that must be true for an object to be reconciled.'),
    secretRef: localRef('Secret with `token`; for every type but `generic-oidc`.').optional(),
    oidcProviders: z
      .array(OidcProvider)
      .optional()
      .describe('Issuers of the tokens of callers; for the type `generic-oidc`.')
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['issuerURL'] }),
    interval: duration('How often the Secret is read again.').default('10m'),
    suspend: z.boolean().optional().describe('Refuse all calls until it is unset.'),
  }),
  [
    {
      rule: "self.type != 'generic-oidc' || (has(self.oidcProviders) && size(self.oidcProviders) > 0)",
      message: "oidcProviders must be set when type is 'generic-oidc'",
    },
    {
      rule: "self.type == 'generic-oidc' || !has(self.oidcProviders) || size(self.oidcProviders) == 0",
      message: "oidcProviders can only be set when type is 'generic-oidc'",
    },
    {
      rule: "(self.type == 'generic-oidc') != has(self.secretRef)",
      message: "secretRef must be set, except when type is 'generic-oidc', where it cannot be set",
    },
  ],
);
export type ReceiverSpec = z.infer<typeof ReceiverSpec>;

export const ReceiverStatus = z.object({
  observedGeneration,
  conditions,
  webhookPath: z.string().optional().describe('Path to call: `/hook/<sha256 of token, name and namespace>`.'),
  lastHandledReconcileAt,
});
export type ReceiverStatus = z.infer<typeof ReceiverStatus>;

export interface Receiver extends KubeObject {
  kind: 'Receiver';
  spec: ReceiverSpec;
  status?: ReceiverStatus;
}

export const definition: KindDefinition = {
  group: 'notification.toolkit.fluxcd.io',
  versions: [{ name: 'v1', isStored: true }],
  kind: 'Receiver',
  plural: 'receivers',
  singular: 'receiver',
  shortNames: [],
  categories: ['all', 'fluxcd', 'fluxcd-notifications'],
  description: 'A webhook whose calls make objects reconcile at once.',
  component: 'notification-controller',
  columns: [ageColumn, readyColumn, messageColumn],
  spec: ReceiverSpec,
  status: ReceiverStatus,
  statusDefault: neverObserved,
  finalizer: fluxFinalizer,
};
