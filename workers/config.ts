// Every option of a worker: one schema gives the defaults, the environment names, `--help` and the reference page.
// Parsed once, in main; a bad or unknown value stops the process and names it.
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import { parseLabelSelector } from '../k8s/label-selector.ts';
import { digestAlgorithms } from '../activities/artifact/digest.ts';
import { hostKeyAlgorithms, kexAlgorithms } from '../activities/source/git/ssh/ssh-algorithms.ts';
import { defaultWatchSelector } from '../k8s/referenced-objects.ts';

const flag = z.enum(['true', 'false']).transform((value) => value === 'true');
/** Comma-separated words of a list; none is undefined. */
const listOf = (words: readonly string[]) =>
  z
    .string()
    .transform((text) => text.split(',').map((word) => word.trim()))
    .refine((given) => given.every((word) => words.includes(word)), `is no list of ${words.join(', ')}`)
    .optional();
const count = z.coerce.number().int().positive();

/** `<environment name>: schema with default and description`. */
export const optionSchema = z.object({
  TEMPORAL_ADDRESS: z.string().default('127.0.0.1:7233').describe('Address of the Temporal frontend, `host:port`.'),
  TEMPORAL_NAMESPACE: z.string().default('default').describe('Temporal namespace; one serves one cluster.'),
  CONTINUO_CLUSTER: z.string().default('local').describe('Name of the cluster, in workflow ids and search attributes.'),
  CONTINUO_DATA_DIR: z
    .string()
    .default(join(tmpdir(), 'continuo'))
    .describe('Where artifacts, kept Git stores and caches lie. Losing it costs a rebuild, nothing else.'),
  CONTINUO_HTTP_ADDRESS: z
    .string()
    .regex(/^.*:[0-9]+$/)
    .default('127.0.0.1:9090')
    .describe('Where /healthz, /readyz, /metrics and the artifacts are served, `host:port`.'),
  CONTINUO_ARTIFACT_ADDRESS: z
    .string()
    .optional()
    .describe('Address that consumers use for artifacts, `host[:port]`; the default is CONTINUO_HTTP_ADDRESS.'),
  SOURCE_CONTROLLER_LOCALHOST: z
    .string()
    .optional()
    .describe(
      'For a worker outside of the cluster: `host[:port]` in place of the host of artifacts that others serve, as Flux has it.',
    ),
  CONTINUO_ARTIFACT_STORE: z
    .enum(['file', 's3'])
    .default('file')
    .describe('Where artifacts lie: in CONTINUO_DATA_DIR, or in a bucket that all workers share.'),
  CONTINUO_ARTIFACT_S3_ENDPOINT: z
    .string()
    .regex(/^(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]+)?$/, 'is no host[:port]')
    .default('s3.amazonaws.com')
    .describe('Host, and port if any, of the storage for `s3`.'),
  CONTINUO_ARTIFACT_S3_BUCKET: z.string().default('').describe('Bucket for `s3`; it must exist.'),
  CONTINUO_ARTIFACT_S3_REGION: z.string().default('').describe('Region of the bucket; empty: the one that it names.'),
  CONTINUO_ARTIFACT_S3_PREFIX: z
    .string()
    .regex(
      /^(?:[A-Za-z0-9][A-Za-z0-9._-]*\/)*(?:[A-Za-z0-9][A-Za-z0-9._-]*)?$/,
      'is no path such as "continuo/artifacts"',
    )
    .default('')
    .describe('Folder of the bucket for all that is stored.'),
  CONTINUO_ARTIFACT_S3_ACCESS_KEY: z
    .string()
    .default('')
    .describe('Access key for the bucket; empty: the worker’s own AWS credentials.'),
  CONTINUO_ARTIFACT_S3_SECRET_KEY: z.string().default('').describe('Secret key that goes with it.'),
  CONTINUO_ARTIFACT_S3_INSECURE: flag.default(false).describe('Speak HTTP without TLS to the storage.'),
  CONTINUO_ARTIFACT_S3_CA_FILE: z
    .string()
    .default('')
    .describe('File with certificates (PEM) that the storage may be signed by, besides the usual ones.'),
  CONTINUO_KUSTOMIZE: z.string().default('kustomize').describe('The kustomize binary.'),
  CONTINUO_HELM: z.string().default('helm').describe('The helm 4 binary; run for actions on releases only.'),
  CONTINUO_SOPS: z
    .string()
    .default('sops')
    .describe('The sops binary; run only where a Kustomization has `spec.decryption` and something is encrypted.'),
  CONTINUO_SOPS_AGE_SECRET: z
    .string()
    .regex(/^(?:[a-z0-9.-]+\/[a-z0-9.-]+)?$/, 'is not of the form namespace/name')
    .default('')
    .describe('Secret with age keys (`*.agekey`) for decryption without a `secretRef`, `namespace/name`.'),
  CONTINUO_GIT: z
    .string()
    .default('git')
    .describe('The git binary; indexes large packs in a process of its own. Without one the worker does it itself.'),
  CONTINUO_LARGE_REPOSITORY_MIB: count.default(200).describe('Packs above this size, in MiB, go to the git binary.'),
  CONTINUO_SSH_KEX_ALGOS: listOf(kexAlgorithms).describe(
    'Comma-separated key exchanges that Git over SSH may use; the default is all but those by SHA-1.',
  ),
  CONTINUO_SSH_HOSTKEY_ALGOS: listOf(hostKeyAlgorithms).describe(
    'Comma-separated algorithms of host keys that Git over SSH may use; the default is all but `ssh-rsa` (SHA-1).',
  ),
  CONTINUO_HELM_INDEX_MAX_MIB: count
    .default(50)
    .describe('Largest index of a Helm repository, in MiB; reading one takes up to ten times its size of memory.'),
  CONTINUO_HELM_CHART_MAX_MIB: count
    .default(10)
    .describe('Largest packaged chart, in MiB; of a HelmChart, and for a release.'),
  CONTINUO_HELM_CHART_FILE_MAX_MIB: count.default(5).describe('Largest file in a chart, in MiB.'),
  CONTINUO_NAMESPACE: z
    .string()
    .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'is no name of a namespace')
    .default('continuo-system')
    .describe(
      'Namespace of what the installation keeps in the cluster: the key that stored manifests are sealed with.',
    ),
  CONTINUO_CONCURRENT: count.default(20).describe('Stages that work (fetch, build, apply, prune) at the same time.'),
  CONTINUO_CONCURRENT_HELM: count
    .optional()
    .describe('Helm processes that work at the same time; the default is one more than the machine has cores.'),
  CONTINUO_CONCURRENT_SSA: count.default(8).describe('Requests of one apply at the same time.'),
  CONTINUO_WORKFLOW_CACHE: count
    .default(400)
    .describe('Workflows kept in memory; one that was evicted is replayed from its short history when it wakes.'),
  CONTINUO_WATCH_LABEL_SELECTOR: z
    .string()
    .refine(isLabelSelector, 'is no label selector, e.g. "sharding.fluxcd.io/key=continuo"')
    .default('')
    .describe('Only objects with these labels are reconciled, all others are left to Flux; empty: every object.'),
  CONTINUO_NO_CROSS_NAMESPACE_REFS: flag.default(false).describe('Refuse references to sources in other namespaces.'),
  CONTINUO_EXTERNAL_ARTIFACTS: flag
    .default(true)
    .describe('Take sources of kind ExternalArtifact, whose status others write; `false`: refuse references to them.'),
  CONTINUO_ADDITIVE_CEL_DEPENDENCY_CHECK: flag
    .default(false)
    .describe('Ask a `readyExpr` besides the built-in readiness rule, not in its place.'),
  CONTINUO_DEFAULT_SERVICE_ACCOUNT: z
    .string()
    .default('')
    .describe('Account that is impersonated where an object names none; empty: the worker’s own rights.'),
  CONTINUO_DEFAULT_KUBECONFIG_SERVICE_ACCOUNT: z
    .string()
    .default('')
    .describe('Account whose token logs in to a remote cluster where its ConfigMap names none.'),
  CONTINUO_OBJECT_LEVEL_WORKLOAD_IDENTITY: flag
    .default(false)
    .describe('Let sources log in to their cloud as a service account of their namespace (`spec.serviceAccountName`).'),
  CONTINUO_INSECURE_KUBECONFIG_EXEC: flag
    .default(false)
    .describe('Run the exec plugins that a `spec.kubeConfig` names, with the rights of the worker’s process.'),
  CONTINUO_INSECURE_KUBECONFIG_TLS: flag
    .default(false)
    .describe('Let a `spec.kubeConfig` skip the verification of certificates, or do without TLS.'),
  CONTINUO_WATCH_CONFIGS_LABEL_SELECTOR: z
    .string()
    .refine(isLabelSelector, 'is no label selector, e.g. "reconcile.fluxcd.io/watch=Enabled"')
    .default(defaultWatchSelector)
    .describe('ConfigMaps and Secrets whose changes wake at once the objects that refer to them.'),
  CONTINUO_NO_REMOTE_BASES: flag.default(false).describe('Refuse kustomize bases that are fetched from elsewhere.'),
  CONTINUO_STRICT_POST_BUILD_SUBSTITUTIONS: flag
    .default(true)
    .describe('Refuse a build with a variable that is not set and has no default; `false`: it is empty.'),
  CONTINUO_CUSTOM_APPLY_STAGE_KINDS: z
    .string()
    .default('')
    .describe('Comma-separated kinds, or `group/Kind`, that are applied before all ordinary ones.'),
  CONTINUO_OVERRIDE_MANAGERS: z
    .string()
    .default('')
    .describe('Comma-separated field managers whose fields are taken over.'),
  CONTINUO_DEFAULT_TO_RETRY_ON_FAILURE: flag
    .default(false)
    .describe('Strategy RetryOnFailure for releases that set neither a strategy nor a remediation.'),
  CONTINUO_USE_HELM3_DEFAULTS: flag
    .default(false)
    .describe(
      'Helm 3’s defaults where a release says nothing: client-side apply, `waitStrategy: legacy`, hooks not post-rendered.',
    ),
  CONTINUO_DISABLE_CHART_DIGEST_TRACKING: flag
    .default(false)
    .describe('Leave the digest of an OCI artifact out of the version of its chart: a moved tag upgrades no release.'),
  CONTINUO_ALLOW_DNS_LOOKUPS: flag.default(false).describe('Let templates of charts resolve names (`getHostByName`).'),
  CONTINUO_ARTIFACT_RETENTION_RECORDS: count.default(2).describe('Artifacts of a source that are kept at least.'),
  CONTINUO_ARTIFACT_RETENTION_SECONDS: count.default(60).describe('No artifact that is younger is removed.'),
  CONTINUO_ARTIFACT_DIGEST_ALGO: z
    .enum(digestAlgorithms)
    .default('sha256')
    .describe('Algorithm of the digests in `status.artifact`, of artifacts that are made from now on.'),
  CONTINUO_MANIFEST_RETENTION_SECONDS: count
    .default(86_400)
    .describe('Built manifests that no `status.history` names are kept so long; those that one names stay.'),
  CONTINUO_SIGSTORE_TUF_URL: z
    .url({ protocol: /^https?$/ })
    .default('https://tuf-repo-cdn.sigstore.dev')
    .describe('TUF repository with the trusted root for keyless signatures without a root of their own.'),
  CONTINUO_SIGSTORE_TUF_ROOT: z
    .string()
    .default('')
    .describe('File with the first `root.json` of that repository; needed for any other than the public one.'),
  CONTINUO_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('What is logged.'),
});

export type WorkerConfig = z.infer<typeof optionSchema>;

/** Reads the options. Throws an `Error` with one line for each bad value, and for each unknown `CONTINUO_` name. */
export function readConfig(environment: Record<string, string | undefined>): WorkerConfig {
  const known = new Set(Object.keys(optionSchema.shape));
  const unknown = Object.keys(environment).filter(
    (name) => name.startsWith('CONTINUO_') && !known.has(name) && !isOfThePlatform(name),
  );
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = optionSchema.safeParse(given);
  const problems = [
    ...unknown.map((name) => `${name}: no such option`),
    ...(parsed.success ? [] : parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)),
  ];
  if (!parsed.success || problems.length > 0) throw new Error(`bad configuration:\n  ${problems.join('\n  ')}`);
  return parsed.data;
}

function isLabelSelector(selector: string): boolean {
  try {
    parseLabelSelector(selector);
    return true;
  } catch {
    return false;
  }
}

/** Names that are for the platform and the shell: its binaries, and the addresses that `.continuo/env` exports. */
function isOfThePlatform(name: string): boolean {
  return /^CONTINUO_(ETCD|KUBE_[A-Z_]+|KUBECTL|KWOK|TEMPORAL|FLUX|[A-Z]+_CONTROLLER|(GIT|UI|WORKER|TEST)_[A-Z_]+)$/.test(
    name,
  );
}
