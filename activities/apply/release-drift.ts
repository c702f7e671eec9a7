// Drift of the objects of a Helm release (contract 2.2, "drift detection"): what a server-side dry run of the stored
// manifest would change. Corrected by the same apply, without a new revision. What helm runs as hooks is not looked at.
import { KubeApiError, type KubeClient } from '../../k8s/client.ts';
import { type KubeObject, type ObjectRef, refOf, subjectOf } from '../../k8s/object.ts';
import { errorsOf, runConcurrently } from './concurrently.ts';
import { differingPaths } from './diff.ts';
import { adoptIgnored, compileIgnoreRules, type IgnoreSpec } from './ignore-rules.ts';
import { joinErrors, objectError } from './refusals.ts';

export interface ReleaseDriftRequest {
  /** Acts as the account of the release. */
  client: KubeClient;
  /** The stored manifest, each object with its namespace. */
  objects: readonly KubeObject[];
  /** Helm's marks of ownership need it. */
  release: { name: string; namespace: string };
  /** `spec.driftDetection.ignore` */
  ignore?: readonly IgnoreSpec[];
  fieldManager: string;
  concurrency: number;
  signal?: AbortSignal;
}

/** One object that is not as the release wants it. */
export interface DriftedObject {
  subject: string;
  ref: ObjectRef;
  /** JSON pointers; empty for an object that is gone. */
  paths: string[];
  desired: KubeObject;
  live?: KubeObject;
  ignored: string[][];
}

const switchKey = 'helm.toolkit.fluxcd.io/driftDetection';
const maxPathsTold = 5;

/** Looks; throws ReconciliationFailed with what the server refuses. */
export async function detectReleaseDrift(request: ReleaseDriftRequest): Promise<DriftedObject[]> {
  const { client, fieldManager, signal, concurrency } = request;
  const rules = compileIgnoreRules(request.ignore);
  const look = async (object: KubeObject): Promise<DriftedObject | undefined> => {
    if (isSwitchedOff(object)) return undefined;
    const desired = withHelmMarks(object, request.release);
    const ref = refOf(desired);
    const subject = subjectOf(ref);
    const ignored = rules(desired);
    try {
      const live = await client.get(ref, { signal });
      if (!live) return { subject, ref, paths: [], desired, ignored };
      if (isSwitchedOff(live)) return undefined;
      const dryRun = await client.apply(desired, { fieldManager, force: true, dryRun: true, signal });
      const paths = differingPaths(live, dryRun, ignored);
      return paths.length > 0 ? { subject, ref, paths, desired, live, ignored } : undefined;
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof KubeApiError && error.isTransient) throw error;
      throw objectError(desired, subject, 'dry-run', error);
    }
  };
  const outcomes = await runConcurrently(request.objects, concurrency, look, { signal });
  const errors = errorsOf(outcomes);
  if (errors.length > 0) throw joinErrors(errors, [], 'ReconciliationFailed');
  return outcomes.flatMap((outcome) => (outcome?.status === 'fulfilled' && outcome.value ? [outcome.value] : []));
}

/** Puts right what has drifted; gives what it did. */
export async function correctReleaseDrift(request: ReleaseDriftRequest): Promise<DriftedObject[]> {
  const { client, fieldManager, signal, concurrency } = request;
  const drifted = await detectReleaseDrift(request);
  const put = async ({ desired, live, ignored, subject }: DriftedObject): Promise<void> => {
    const body = live ? adoptIgnored(desired, live, ignored) : desired;
    try {
      await client.apply(body, { fieldManager, force: true, signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw objectError(desired, subject, 'apply', error);
    }
  };
  const errors = errorsOf(await runConcurrently(drifted, concurrency, put, { signal }));
  if (errors.length > 0) throw joinErrors(errors, [], 'ReconciliationFailed');
  return drifted;
}

/** `Deployment/apps/web changed (/spec/replicas)`, `Service/apps/web removed`. */
export function driftLine({ subject, paths }: DriftedObject): string {
  if (paths.length === 0) return `${subject} removed`;
  const told = paths.slice(0, maxPathsTold).join(', ');
  return `${subject} changed (${told}${paths.length > maxPathsTold ? ', …' : ''})`;
}

/** What Helm adds to every object that it applies. Without it an apply would take it away. */
export function withHelmMarks(object: KubeObject, release: { name: string; namespace: string }): KubeObject {
  const { metadata } = object;
  const labels = { ...metadata.labels, 'app.kubernetes.io/managed-by': 'Helm' };
  const annotations = {
    ...metadata.annotations,
    'meta.helm.sh/release-name': release.name,
    'meta.helm.sh/release-namespace': release.namespace,
  };
  return { ...object, metadata: { ...metadata, labels, annotations } };
}

function isSwitchedOff({ metadata }: KubeObject): boolean {
  return [metadata.annotations?.[switchKey], metadata.labels?.[switchKey]].includes('disabled');
}
