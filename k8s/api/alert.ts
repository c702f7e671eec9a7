// Alert (contract 1.10): which events go to which provider.
import * as z from 'zod';
import type { KubeObject } from '../object.ts';
import { ageColumn, type KindDefinition } from './definition.ts';
import { stringMap } from './shared/fields.ts';
import { EventObjectRef, localRef } from './shared/reference.ts';

export const AlertSpec = z.object({
  providerRef: localRef('The Provider to send to.'),
  eventSources: z.array(EventObjectRef).describe('The objects whose events are sent.'),
  eventSeverity: z
    .enum(['info', 'error'])
    .default('info')
    .describe('`info` sends all events, `error` only those of failures.'),
  inclusionList: z
    .array(z.string())
    .optional()
    .describe('Regular expressions; when there are any, one of them must match the message.'),
  exclusionList: z.array(z.string()).optional().describe('Regular expressions; none of them may match the message.'),
  eventMetadata: stringMap('Metadata to add to every event.').optional(),
  summary: z.string().max(255).optional().describe('Deprecated: set `eventMetadata.summary`.'),
  suspend: z.boolean().optional().describe('Send nothing until it is unset.'),
});
export type AlertSpec = z.infer<typeof AlertSpec>;

export interface Alert extends KubeObject {
  kind: 'Alert';
  spec: AlertSpec;
}

export const definition: KindDefinition = {
  group: 'notification.toolkit.fluxcd.io',
  versions: [{ name: 'v1beta3', isStored: true }],
  kind: 'Alert',
  plural: 'alerts',
  singular: 'alert',
  shortNames: [],
  categories: ['all', 'fluxcd', 'fluxcd-notifications'],
  description: 'Which events of which objects are sent to a provider.',
  component: 'notification-controller',
  columns: [ageColumn],
  spec: AlertSpec,
  status: undefined,
  statusDefault: undefined,
  finalizer: undefined,
};
