// The Bucket, and the Secret for it, that `continuo create source bucket` makes of its flags. Pure.
import type { BucketSpec } from '../k8s/api/bucket.ts';
import { kinds } from '../k8s/api/index.ts';
import type { KubeObject } from '../k8s/object.ts';
import { type CreateFlags, type FetchFlags, objectOf } from './create-flags.ts';
import { usageError } from './exit.ts';

export interface SourceBucketFlags extends CreateFlags, FetchFlags {
  provider: BucketSpec['provider'];
  bucketName?: string;
  endpoint?: string;
  region?: string;
  prefix?: string;
  insecure?: boolean;
  secretRef?: string;
  certSecretRef?: string;
  proxySecretRef?: string;
  stsProvider?: 'aws' | 'ldap';
  stsEndpoint?: string;
  stsSecretRef?: string;
  ignorePaths?: string[];
  accessKey?: string;
  secretKey?: string;
}

/** The objects in the order in which they are applied. Throws a usage error that names the flag that is missing or wrong. */
export function bucketFromFlags(name: string, flags: SourceBucketFlags): KubeObject[] {
  const { bucketName, endpoint, provider, region, prefix } = flags;
  if (!bucketName) throw usageError('--bucket-name is missing: expected the name of the bucket');
  if (!endpoint) throw usageError('--endpoint is missing: expected for example "s3.example.org"');
  const secret = secretOf(name, flags);
  const secretRef = flags.secretRef ?? secret?.metadata.name;
  const sts = stsOf(flags);
  const ref = (to: string | undefined): { name: string } | undefined => (to ? { name: to } : undefined);
  const spec: Partial<BucketSpec> = {
    interval: flags.interval,
    ...(flags.fetchTimeout && { timeout: flags.fetchTimeout }),
    provider,
    bucketName,
    endpoint,
    ...(region && { region }),
    ...(prefix && { prefix }),
    ...(flags.insecure && { insecure: true }),
    ...(secretRef && { secretRef: ref(secretRef) }),
    ...(flags.certSecretRef && { certSecretRef: ref(flags.certSecretRef) }),
    ...(flags.proxySecretRef && { proxySecretRef: ref(flags.proxySecretRef) }),
    ...(sts && { sts }),
    ...(flags.ignorePaths && { ignore: flags.ignorePaths.join('\n') }),
  };
  return [...(secret ? [secret] : []), objectOf(kinds.Bucket, name, flags, spec)];
}

function secretOf(name: string, flags: SourceBucketFlags): KubeObject | undefined {
  const { accessKey, secretKey, secretRef, provider } = flags;
  if (accessKey === undefined && secretKey === undefined) return undefined;
  if (secretRef) throw usageError('expected --secret-ref or keys in flags, got both');
  if (!accessKey || !secretKey) throw usageError('expected both of --access-key and --secret-key');
  if (provider !== 'generic' && provider !== 'aws') {
    throw usageError(`--access-key goes with the providers "generic" and "aws": name a Secret with --secret-ref`);
  }
  if (flags.export) throw usageError('--export prints no credentials: name a Secret that exists with --secret-ref');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: `bucket-${name}`, namespace: flags.namespace },
    stringData: { accesskey: accessKey, secretkey: secretKey },
  };
}

function stsOf({ stsProvider, stsEndpoint, stsSecretRef, provider }: SourceBucketFlags): BucketSpec['sts'] {
  if (!stsProvider && !stsEndpoint && !stsSecretRef) return undefined;
  if (!stsProvider || !stsEndpoint) throw usageError('expected both of --sts-provider and --sts-endpoint');
  const wanted = provider === 'aws' ? 'aws' : 'ldap';
  if (stsProvider !== wanted || !['aws', 'generic'].includes(provider)) {
    throw usageError('--sts-provider: "aws" goes with --provider=aws, "ldap" with --provider=generic');
  }
  if (stsProvider === 'aws' && stsSecretRef) throw usageError('--sts-secret-ref is for --sts-provider=ldap');
  return {
    provider: stsProvider,
    endpoint: stsEndpoint,
    ...(stsSecretRef && { secretRef: { name: stsSecretRef } }),
  };
}
