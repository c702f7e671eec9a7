// What the API server's refusals mean for an apply, and the words for them.
import { KubeApiError } from '../../k8s/client.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { failure, messageOf, type Reason } from '../errors.ts';

/** An error about one object of a set. */
export class ObjectError extends Error {
  override readonly name = 'ObjectError';
  readonly subject: string;
  constructor(subject: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.subject = subject;
  }
  /** May pass by itself. */
  get isTransient(): boolean {
    return isTransientRefusal(this.cause);
  }
  /** The server does not know the kind (yet). */
  get isUnknownKind(): boolean {
    return this.cause instanceof KubeApiError && this.cause.reason === 'NoKindMatch';
  }
}

const maxErrorsTold = 20;

/** True when an update is refused that deleting and creating the object might get through (contract 2.1, "immutable"). */
export function isImmutable(error: unknown): boolean {
  if (!(error instanceof KubeApiError)) return false;
  if (error.status === 409 || error.status === 422) return true;
  return /is immutable|immutable field/i.test(error.message);
}

/** Server-side apply answers 500 without a reason to a manifest that does not fit the schema: not a server's trouble. */
export function isSchemaError(error: unknown): boolean {
  return (
    error instanceof KubeApiError &&
    error.status === 500 &&
    /^failed to (create typed|convert new|create manager|merge)|unable to convert unstructured/.test(error.message)
  );
}

/** True for what may pass by itself, so that the same apply can be tried again at once. */
export function isTransientRefusal(error: unknown): boolean {
  return error instanceof KubeApiError && error.isTransient && !isSchemaError(error);
}

/** True when the manifest itself is wrong, whatever else of the set is applied first. */
export function isDefinitive(error: unknown): boolean {
  if (!(error instanceof KubeApiError)) return false;
  return error.status === 400 || error.status === 422 || error.status === 404 || isSchemaError(error);
}

/** The error of one object and step: `<subject> dry-run failed (<reason>): <server's message>: <next step>`. */
export function objectError(
  object: KubeObject,
  subject: string,
  step: string,
  error: unknown,
  mayForce = false,
): ObjectError {
  if (error instanceof ObjectError) return error;
  const reason = error instanceof KubeApiError ? error.reason || (isSchemaError(error) ? 'Invalid' : '') : '';
  const text = maskSecretValues(object, messageOf(error)).replace(/\s*\n\s*/g, ' ');
  const next = nextStep(error, mayForce);
  const message = `${subject} ${step} failed${reason ? ` (${reason})` : ''}: ${text}${next ? `: ${next}` : ''}`;
  return new ObjectError(subject, message, error);
}

function nextStep(error: unknown, mayForce: boolean): string {
  if (!(error instanceof KubeApiError)) return '';
  if (error.reason === 'NoKindMatch') return 'install its CustomResourceDefinition first, or add it to the source';
  if (error.status === 404 && error.message.startsWith('namespaces '))
    return 'create the namespace or add it to the source';
  if (mayForce && /immutable/i.test(error.message)) {
    return 'to have it deleted and created again, set the annotation "kustomize.toolkit.fluxcd.io/force: enabled"';
  }
  if (error.status === 403) return 'the account that applies needs this permission';
  return '';
}

/** One failure for all errors of a pass, with the change log of what was done before (contract 2.1, step 11). */
export function joinErrors(errors: readonly unknown[], changeLog: readonly string[], reason: Reason): Error {
  const known = errors.map((error) =>
    error instanceof ObjectError ? error : new ObjectError('', messageOf(error), error),
  );
  const told = known.slice(0, maxErrorsTold).map((error) => error.message);
  if (known.length > told.length) told.push(`and ${known.length - told.length} more errors`);
  return failure(reason, [...told, ...changeLog].join('\n'), {
    subject: known[0]?.subject || undefined,
    isTransient: known.every((error) => error.isTransient),
  });
}

const shortestMaskedValue = 3;

/** A message about a Secret without any of its values: some refusals of the server quote the object. */
export function maskSecretValues(object: KubeObject, message: string): string {
  if (object.kind !== 'Secret') return message;
  const values = [object.data, object.stringData]
    .flatMap(stringsIn)
    .flatMap((value) => [
      value,
      Buffer.from(value, 'base64').toString('utf8'),
      Buffer.from(value, 'utf8').toString('base64'),
    ]);
  let masked = message;
  for (const value of values.sort((a, b) => b.length - a.length)) {
    if (value.length < shortestMaskedValue) continue;
    masked = masked.replaceAll(value, '***').replaceAll(JSON.stringify(value).slice(1, -1), '***');
  }
  return masked;
}

function stringsIn(value: unknown): string[] {
  if (typeof value === 'string' || typeof value === 'number') return [String(value)];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(stringsIn);
}
