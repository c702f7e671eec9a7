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

interface ReasonDefinition {
  retry: RetryClass;
  meaning: string;
}

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
  SourceIgnoreError: { retry: 'backoff', meaning: 'a .sourceignore file cannot be read' },
  ArchiveOperationFailed: { retry: 'backoff', meaning: 'packing or storing the artifact failed' },
  StorageOperationFailed: { retry: 'backoff', meaning: 'the artifact store cannot be read or written' },
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
    details: options.subject ? [{ subject: options.subject }] : [],
    cause: options.cause instanceof Error ? options.cause : undefined,
    category: reasons[reason].retry === 'wait' ? ApplicationFailureCategory.BENIGN : undefined,
  });
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
