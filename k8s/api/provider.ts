// Provider (contract 1.10 and 5): where notifications go.
import * as z from 'zod';
import type { KubeObject } from '../object.ts';
import { ageColumn, fluxFinalizer, type KindDefinition } from './definition.ts';
import { duration, shortDuration, withRules } from './shared/fields.ts';
import { certSecretRef, localRef, proxySecretRef } from './shared/reference.ts';

/** Every type of provider (contract 5). */
export const providerTypes = [
  'generic',
  'generic-hmac',
  'slack',
  'discord',
  'rocket',
  'msteams',
  'googlechat',
  'lark',
  'webex',
  'zoom',
  'matrix',
  'telegram',
  'zulip',
  'googlepubsub',
  'azureeventhub',
  'nats',
  'opsgenie',
  'pagerduty',
  'datadog',
  'sentry',
  'alertmanager',
  'grafana',
  'incident.io',
  'otel',
  'github',
  'gitlab',
  'gitea',
  'bitbucket',
  'bitbucketserver',
  'azuredevops',
  'githubdispatch',
  'githubpullrequestcomment',
  'gitlabmergerequestcomment',
  'giteapullrequestcomment',
] as const;
export type ProviderType = (typeof providerTypes)[number];

/** The types that set the status of a commit. */
export const commitStatusProviderTypes = [
  'github',
  'gitlab',
  'gitea',
  'bitbucketserver',
  'bitbucket',
  'azuredevops',
] as const satisfies readonly ProviderType[];

export const ProviderSpec = withRules(
  z.object({
    type: z.enum(providerTypes).describe('What receives the notifications.'),
    address: z.string().max(2048).optional().describe('Address of the receiver, or what its type takes for one.'),
    channel: z.string().max(2048).optional().describe('Channel, room, topic or the like.'),
    username: z.string().max(2048).optional().describe('Name to post under.'),
    timeout: shortDuration('Longest time for a delivery; unset: 15s.').optional(),
    secretRef: localRef('Secret with `token`, `address`, `username`, `password`, `headers` or app keys.').optional(),
    certSecretRef,
    proxySecretRef,
    proxy: z
      .string()
      .max(2048)
      .regex(/^(http|https):\/\/.*$/)
      .optional()
      .describe('Deprecated: use `proxySecretRef`.'),
    serviceAccountName: z.string().optional().describe('Service account whose workload identity logs in to a cloud.'),
    commitStatusExpr: z
      .string()
      .optional()
      .describe('CEL expression over `event`, `alert` and `provider` that gives the name of the commit status.'),
    interval: duration('Deprecated and without effect.').optional(),
    suspend: z.boolean().optional().describe('Send nothing until it is unset.'),
  }),
  [
    {
      rule: `!has(self.commitStatusExpr) || self.type in [${commitStatusProviderTypes.map((type) => `'${type}'`).join(', ')}]`,
      message: `commitStatusExpr can only be set for the types ${commitStatusProviderTypes.join(', ')}`,
    },
  ],
);
export type ProviderSpec = z.infer<typeof ProviderSpec>;

export interface Provider extends KubeObject {
  kind: 'Provider';
  spec: ProviderSpec;
}

export const definition: KindDefinition = {
  group: 'notification.toolkit.fluxcd.io',
  versions: [{ name: 'v1beta3', isStored: true }],
  kind: 'Provider',
  plural: 'providers',
  singular: 'provider',
  shortNames: [],
  categories: ['all', 'fluxcd', 'fluxcd-notifications'],
  description: 'A receiver of notifications, and how to reach it.',
  component: 'notification-controller',
  columns: [ageColumn],
  spec: ProviderSpec,
  status: undefined,
  statusDefault: undefined,
  finalizer: fluxFinalizer,
};
