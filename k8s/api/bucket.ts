// Bucket (contract 1.5).
import * as z from 'zod';
import type { KubeObject } from '../object.ts';
import {
  ageColumn,
  fluxFinalizer,
  type KindDefinition,
  messageColumn,
  neverObserved,
  readyColumn,
  stringColumn,
} from './definition.ts';
import { duration, ignorePatterns, shortDuration, suspend, type ValidationRule, withRules } from './shared/fields.ts';
import { certSecretRef, localRef, proxySecretRef } from './shared/reference.ts';
import {
  artifact,
  artifactUrl,
  conditions,
  lastHandledReconcileAt,
  observedGeneration,
  observedIgnore,
} from './shared/status.ts';

const Sts = z.object({
  provider: z.enum(['aws', 'ldap']).describe('Which kind of token service it is.'),
  endpoint: z
    .string()
    .regex(/^(http|https):\/\/.*$/)
    .describe('Address of the token service.'),
  secretRef: localRef('Secret with `username` and `password`; for `ldap` only.').optional(),
  certSecretRef: localRef(
    'Secret with `ca.crt`, and `tls.crt` with `tls.key` for a client certificate; for `ldap` only.',
  ).optional(),
});

const bucketRules: ValidationRule[] = [
  {
    rule: "!has(self.sts) || self.provider in ['aws', 'generic']",
    message: "sts can only be set for the providers 'aws' and 'generic'",
  },
  {
    rule: "self.provider != 'aws' || !has(self.sts) || self.sts.provider == 'aws'",
    message: "the provider 'aws' needs sts.provider 'aws'",
  },
  {
    rule: "self.provider != 'generic' || !has(self.sts) || self.sts.provider == 'ldap'",
    message: "the provider 'generic' needs sts.provider 'ldap'",
  },
  {
    rule: "!has(self.sts) || self.sts.provider != 'aws' || !has(self.sts.secretRef)",
    message: "sts.secretRef cannot be set for sts.provider 'aws'",
  },
  {
    rule: "!has(self.sts) || self.sts.provider != 'aws' || !has(self.sts.certSecretRef)",
    message: "sts.certSecretRef cannot be set for sts.provider 'aws'",
  },
  {
    rule: "self.provider != 'generic' || !has(self.serviceAccountName)",
    message: "serviceAccountName cannot be set for the provider 'generic'",
  },
  {
    rule: '!has(self.secretRef) || !has(self.serviceAccountName)',
    message: 'only one of secretRef and serviceAccountName can be set',
  },
];

export const BucketSpec = withRules(
  z.object({
    bucketName: z.string().describe('Name of the bucket.'),
    endpoint: z.string().describe('Host, and port if any, of the object storage.'),
    interval: duration('How often the bucket is listed.'),
    timeout: shortDuration('Longest time for a download.').default('60s'),
    provider: z
      .enum(['generic', 'aws', 'gcp', 'azure'])
      .default('generic')
      .describe('What the storage is; `generic` is anything that speaks S3.'),
    region: z.string().optional().describe('Region of the bucket.'),
    prefix: z.string().optional().describe('Only objects whose key starts with it.'),
    insecure: z.boolean().optional().describe('Speak HTTP without TLS.'),
    secretRef: localRef('Secret with the keys of the storage, named as its provider demands.').optional(),
    serviceAccountName: z
      .string()
      .optional()
      .describe('Service account whose workload identity logs in; not for the provider `generic`.'),
    certSecretRef,
    proxySecretRef,
    sts: Sts.optional().describe('A token service that gives short-lived credentials.'),
    ignore: ignorePatterns('objects'),
    suspend,
  }),
  bucketRules,
);
export type BucketSpec = z.infer<typeof BucketSpec>;

export const BucketStatus = z.object({
  observedGeneration,
  conditions,
  url: artifactUrl,
  artifact,
  observedIgnore,
  lastHandledReconcileAt,
});
export type BucketStatus = z.infer<typeof BucketStatus>;

export interface Bucket extends KubeObject {
  kind: 'Bucket';
  spec: BucketSpec;
  status?: BucketStatus;
}

export const definition: KindDefinition = {
  group: 'source.toolkit.fluxcd.io',
  versions: [{ name: 'v1', isStored: true }],
  kind: 'Bucket',
  plural: 'buckets',
  singular: 'bucket',
  shortNames: [],
  categories: ['all', 'fluxcd', 'fluxcd-sources'],
  description: 'A bucket of an object storage whose objects become an artifact at every change.',
  component: 'source-controller',
  columns: [stringColumn('Endpoint', '.spec.endpoint'), ageColumn, readyColumn, messageColumn],
  spec: BucketSpec,
  status: BucketStatus,
  statusDefault: neverObserved,
  finalizer: fluxFinalizer,
};
