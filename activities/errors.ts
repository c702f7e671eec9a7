// The one table of failure reasons. A reason is at once the `reason` of a condition, the `type` of the
// ApplicationFailure that carries it through Temporal, a metric label and an anchor in docs/errors.md.
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';

/**
 * What happens next after a failure with a reason:
 * `backoff` tries again (the activity's retry policy, then the object's retry interval or back-off),
 * `wait` tries again when what it waits for changes, and is no error (category BENIGN),
 * `stall` does not try again until a person changes the object.
 */
export type RetryClass = 'backoff' | 'wait' | 'stall';

/** The conditions in which a source tells a failure beside Ready (contract 1.0, source reason catalogue). */
export type SourceFailureCondition =
  | 'FetchFailed'
  | 'BuildFailed'
  | 'IncludeUnavailable'
  | 'SourceVerified'
  | 'StorageOperationFailed';

interface ReasonDefinition {
  retry: RetryClass;
  meaning: string;
  /** Where a source tells it. @default ['FetchFailed'] */
  conditions?: readonly SourceFailureCondition[];
}

const inStorage = ['StorageOperationFailed'] as const;
const inVerified = ['SourceVerified'] as const;
const inBuild = ['BuildFailed'] as const;
const inInclude = ['IncludeUnavailable'] as const;

/** Every reason that a condition of ours may carry when something is wrong (contract 1.0 and 2.1). */
export const reasons = {
  // sources
  URLInvalid: { retry: 'stall', meaning: 'spec.url cannot be parsed or has a scheme that the kind does not allow' },
  AuthenticationFailed: {
    retry: 'backoff',
    meaning: 'a referenced Secret is missing or malformed, or the server refused the credentials',
  },
  InvalidProviderConfiguration: { retry: 'stall', meaning: 'spec.provider and the referenced Secret do not fit' },
  FeatureGateDisabled: { retry: 'stall', meaning: 'the object asks for something that this installation has off' },
  GitOperationFailed: { retry: 'backoff', meaning: 'listing, fetching or checking out the Git repository failed' },
  EmptyGitRepository: { retry: 'backoff', meaning: 'the Git repository has no commits' },
  OCIArtifactPullFailed: { retry: 'backoff', meaning: 'the manifest or a layer of the OCI artifact cannot be pulled' },
  OCIArtifactLayerOperationFailed: {
    retry: 'backoff',
    meaning: 'the layer that spec.layerSelector asks for is not there, or cannot be extracted or copied',
  },
  BucketOperationFailed: { retry: 'backoff', meaning: 'listing or downloading the objects of the bucket failed' },
  InvalidSTSConfiguration: { retry: 'stall', meaning: 'spec.sts does not fit spec.provider' },
  IndexationFailed: { retry: 'backoff', meaning: 'the index of the Helm repository cannot be parsed' },
  Failed: {
    retry: 'backoff',
    meaning: 'the index of the Helm repository cannot be downloaded, or another step failed',
  },
  ReadOperationFailed: {
    retry: 'backoff',
    meaning: 'a reference cannot be resolved, or the artifact of the source cannot be read',
  },
  SourceUnavailable: { retry: 'backoff', meaning: 'the object that spec.sourceRef names cannot be read' },
  NoSourceArtifact: { retry: 'wait', meaning: 'the source has no artifact yet' },
  UnsupportedSourceKind: { retry: 'stall', meaning: 'spec.sourceRef is of a kind that cannot hold charts' },
  InvalidChartReference: { retry: 'stall', meaning: 'no chart of this name and version is there' },
  ChartPullError: { retry: 'backoff', meaning: 'the chart cannot be downloaded' },
  MetadataPatchError: { retry: 'stall', meaning: 'the metadata of the chart cannot be changed', conditions: inBuild },
  ValuesFilesError: {
    retry: 'stall',
    meaning: 'a file of spec.valuesFiles is missing or is no YAML',
    conditions: inBuild,
  },
  DependencyBuildError: {
    retry: 'backoff',
    meaning: 'a dependency of the chart cannot be found or downloaded',
    conditions: inBuild,
  },
  ChartPackageError: { retry: 'backoff', meaning: 'the chart cannot be packaged', conditions: inBuild },
  ChartVerificationError: {
    retry: 'backoff',
    meaning: 'the signature or the provenance of the chart is missing or wrong',
    conditions: ['BuildFailed', 'SourceVerified'],
  },
  VerificationError: {
    retry: 'backoff',
    meaning: 'the signature is missing or wrong, or the keys to check it with are missing',
    conditions: inVerified,
  },
  InvalidVerificationMode: {
    retry: 'stall',
    meaning: 'spec.verify.mode is none of head, Tag, TagAndHEAD',
    conditions: inVerified,
  },
  InvalidGitObject: {
    retry: 'backoff',
    meaning: 'spec.verify asks for a signed tag and spec.ref leads to none',
    conditions: inVerified,
  },
  InvalidTagSignature: { retry: 'backoff', meaning: 'the tag is not signed by a known key', conditions: inVerified },
  InvalidCommitSignature: {
    retry: 'backoff',
    meaning: 'the commit is not signed by a known key',
    conditions: inVerified,
  },
  NotFound: { retry: 'wait', meaning: 'an included GitRepository does not exist', conditions: inInclude },
  NoArtifact: { retry: 'wait', meaning: 'an included GitRepository has no artifact yet', conditions: inInclude },
  IllegalPath: { retry: 'backoff', meaning: 'a path leads out of the artifact', conditions: inStorage },
  CopyFailure: {
    retry: 'backoff',
    meaning: 'the files of an included artifact cannot be copied',
    conditions: inStorage,
  },
  SourceIgnoreError: { retry: 'backoff', meaning: 'a .sourceignore file cannot be read', conditions: inStorage },
  ArchiveOperationFailed: {
    retry: 'backoff',
    meaning: 'packing or storing the artifact failed',
    conditions: inStorage,
  },
  StorageOperationFailed: {
    retry: 'backoff',
    meaning: 'the artifact store cannot be read or written',
    conditions: inStorage,
  },
  // ArtifactGenerator
  SourceFetchFailed: { retry: 'backoff', meaning: 'the artifact of a source cannot be read' },
  ValidationFailed: { retry: 'stall', meaning: 'the spec contradicts itself' },
  // Kustomization
  ArtifactFailed: {
    retry: 'backoff',
    meaning: 'the source object or its artifact is missing, or the artifact cannot be downloaded, verified or unpacked',
  },
  AccessDenied: { retry: 'stall', meaning: 'a cross-namespace reference or an account is not allowed' },
  DependencyNotReady: { retry: 'wait', meaning: 'an object that this one depends on is not ready yet' },
  InvalidCELExpression: { retry: 'stall', meaning: 'a CEL expression in the spec does not compile' },
  BuildFailed: { retry: 'backoff', meaning: 'kustomize build, decryption or substitution failed' },
  ReconciliationFailed: { retry: 'backoff', meaning: 'applying the manifests failed; nothing was pruned' },
  PruneFailed: { retry: 'backoff', meaning: 'deleting objects that are gone from the source failed' },
  HealthCheckFailed: { retry: 'backoff', meaning: 'an applied object failed or did not become ready in time' },
  RollbackFailed: { retry: 'backoff', meaning: 'the last healthy manifests could not be applied again' },
  // HelmRelease
  SourceNotReady: { retry: 'wait', meaning: 'the source of the chart has no artifact of its present spec yet' },
  ValuesError: { retry: 'backoff', meaning: 'values cannot be read or put together' },
  ChartMutateError: { retry: 'backoff', meaning: 'the version of the chart cannot carry the digest of its artifact' },
  RESTClientError: { retry: 'backoff', meaning: 'no client for the target cluster can be made' },
  FactoryError: { retry: 'backoff', meaning: 'helm cannot be run against the target cluster' },
  StateError: { retry: 'backoff', meaning: 'the state of the release cannot be found out' },
  ReconcileError: { retry: 'backoff', meaning: 'an action on the release could not be carried out' },
  InstallFailed: { retry: 'backoff', meaning: 'helm install failed' },
  UpgradeFailed: { retry: 'backoff', meaning: 'helm upgrade failed' },
  TestFailed: { retry: 'backoff', meaning: 'a test of the release failed' },
  UninstallFailed: { retry: 'backoff', meaning: 'helm uninstall failed' },
  RetriesExceeded: { retry: 'stall', meaning: 'the retries of spec.install or spec.upgrade are used up' },
  MissingRollbackTarget: { retry: 'stall', meaning: 'there is no earlier release that a rollback could go back to' },
  HealthCheckCanceled: { retry: 'wait', meaning: 'a newer revision or spec ended the health check' },
} as const satisfies Record<string, ReasonDefinition>;

export type Reason = keyof typeof reasons;

/** What a stage says of a failure beside its reason and message. */
export interface FailureOptions {
  /** `Kind/namespace/name` of the object concerned. */
  subject?: string;
  /** The error underneath; its message belongs into the failure's own message as well. */
  cause?: unknown;
  /** True when Temporal's own retry policy may try the activity again at once (a network error, 429, 5xx). */
  isTransient?: boolean;
  /** When to try again, where the other side said it. @default the reason's class decides */
  retryInMs?: number;
}

/**
 * The failure that an activity throws. Only a transient one is tried again inside the activity's retry policy;
 * all others return to the workflow, which turns them into conditions and decides by the reason's class.
 */
export function failure(reason: Reason, message: string, options: FailureOptions = {}): ApplicationFailure {
  return ApplicationFailure.create({
    message,
    type: reason,
    nonRetryable: !options.isTransient,
    details: detailsOf(options),
    cause: options.cause instanceof Error ? options.cause : undefined,
    category: reasons[reason].retry === 'wait' ? ApplicationFailureCategory.BENIGN : undefined,
  });
}

function detailsOf({ subject, retryInMs }: FailureOptions): unknown[] {
  if (!subject && retryInMs === undefined) return [];
  return [{ ...(subject && { subject }), ...(retryInMs !== undefined && { retryInMs }) }];
}

/** True for a string that is a reason of the table. */
export function isReason(value: unknown): value is Reason {
  return typeof value === 'string' && Object.hasOwn(reasons, value);
}

/** The message of anything thrown, with the messages of its causes that it does not already contain. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  let message = error.message || error.name;
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
    if (!message.includes(cause.message)) message += `: ${cause.message}`;
  }
  return message;
}
