// What an object waits for before it is reconciled, who waits for it, and in which order things are torn down.
import { apiVersionOfKind } from '../../k8s/api/index.ts';
import type { HelmRelease } from '../../k8s/api/helm-release.ts';
import type { Kustomization } from '../../k8s/api/kustomization.ts';
import { KubeApiError } from '../../k8s/client.ts';
import { parseDuration } from '../../k8s/duration.ts';
import { dependantKinds, type FluxObjects, isWatchedKind } from '../../k8s/flux-objects.ts';
import { type KubeObject, type ObjectRef, splitApiVersion, subjectOf } from '../../k8s/object.ts';
import type { Obstacle } from '../../workflows/decisions/obstacle.ts';
import type { ReconciledRef } from '../../workflows/messages.ts';
import {
  cycleThrough,
  type DependencyTarget,
  dependencyExpressionError,
  dependencyTargets,
  judgeDependency,
  type Unready,
  waitingMessage,
} from './dependencies.ts';
import type { ArtifactRef } from './observation.ts';
import { sourceOf } from './source-of.ts';

export interface WaitingDependencies {
  objects: FluxObjects;
  isCrossNamespaceAllowed: boolean;
  /** @default true */
  isExternalArtifactAllowed?: boolean;
  /** An object of a kind that is not watched, as the account of the one that waits may see it; one request. */
  readObject(waiter: KubeObject, ref: ObjectRef): Promise<KubeObject | undefined>;
  isObjectHealthy(object: KubeObject): boolean;
  isReadyExprAdditive: boolean;
}

/** An object of one of the {@link dependantKinds}. */
export type Dependant = Kustomization | HelmRelease;

/** What keeps an object from being reconciled now. */
export interface Waiting {
  waitingFor?: ReconciledRef[];
  obstacle?: Obstacle;
  awaitMs?: number;
  awaiting?: string;
}

/** A dependency that is only behind gets so long, after a new revision or a new object, before it is told. */
const patienceMs = 5_000;
/** Objects that are deleted together are marked one after the other: so long the first waits for the rest. */
const deletedTogetherMs = 2_000;
const teardownLookMs = 10_000;
const maxNamed = 5;

/** What `object` waits for; undefined when it may go on (contract 2.1, step 5). */
export async function waitingOf(
  object: Dependant,
  source: Pick<ArtifactRef, 'revision' | 'updatedAt'>,
  deps: WaitingDependencies,
): Promise<Waiting | undefined> {
  const targets = dependencyTargets(object);
  if (targets.length === 0) return undefined;
  const error = dependencyExpressionError(object);
  if (error) {
    const message = `Reconciliation failed terminally due to configuration error: ${error}`;
    return { obstacle: { reason: 'InvalidCELExpression', message } };
  }
  const waitingFor = targets.flatMap(reconciledRefOf);
  const cycle = cycleOf(object, deps.objects);
  if (cycle) {
    const message = `dependency cycle: ${cycle.join(' → ')}; none of them can start before one of these dependencies is removed`;
    return { waitingFor, obstacle: { reason: 'DependencyNotReady', message } };
  }
  const unready: (Unready & { target: DependencyTarget })[] = [];
  for (const target of targets) {
    const found = await judge(object, target, source.revision, deps);
    if (found) unready.push({ target, ...found });
  }
  if (unready.length === 0) return undefined;
  const held = unready.flatMap(({ target }) => reconciledRefOf(target));
  const youngMs = Date.now() - Math.max(Date.parse(source.updatedAt ?? ''), createdAtMs(object)) || patienceMs;
  if (unready.every(({ isLagging }) => isLagging) && youngMs < patienceMs) {
    return { waitingFor: held, awaitMs: patienceMs - youngMs, awaiting: waitingMessage(unready, nowSeconds()) };
  }
  const message = waitingMessage(unready, waitingSince(object));
  // A signal brings the next look; the interval is for a lost one.
  const retryInMs = parseDuration(object.spec.interval);
  return { waitingFor: held, obstacle: { reason: 'DependencyNotReady', message, retryInMs } };
}

export interface FindReadyInput {
  ref: ReconciledRef;
  waiting: ReconciledRef[];
}

export interface ReadyDependants {
  /** Those that this object holds up no longer. */
  ready: ReconciledRef[];
  /** Those that it still holds up; the others are gone, or do not depend on it any more. */
  waiting: ReconciledRef[];
  /** The version of the object that was judged, for workers whose caches are behind. */
  resourceVersion?: string;
}

/** Which of the waiting ones the object does not hold up any more. */
export async function readyDependants(
  { ref, waiting }: FindReadyInput,
  deps: WaitingDependencies,
): Promise<ReadyDependants> {
  const dependency = await deps.objects.get(ref.kind, ref);
  const result: ReadyDependants = { ready: [], waiting: [], resourceVersion: dependency?.metadata.resourceVersion };
  for (const one of waiting) {
    const dependant = (await deps.objects.get(one.kind, one)) as Dependant | undefined;
    const target = dependant && dependencyTargets(dependant).find((candidate) => isTarget(candidate, ref));
    if (!dependant || !target) continue;
    const revision = await revisionOf(dependant, deps);
    result[(await judge(dependant, target, revision, deps)) ? 'waiting' : 'ready'].push(one);
  }
  return result;
}

/** The order of a teardown: what depends on an object and is being deleted as well goes first. */
export function teardownOf(
  object: Dependant,
  objects: FluxObjects,
): { dependencies: ReconciledRef[]; awaitMs?: number; awaiting?: string } {
  const dependencies = dependencyTargets(object).flatMap(reconciledRefOf);
  const ref = ownRef(object);
  const dependants = dependantKinds
    .flatMap((kind) => objects.list(kind))
    .filter((one) => dependencyTargets(one).some((t) => isTarget(t, ref)));
  if (dependants.length === 0 || cycleOf(object, objects)) return { dependencies };
  const going = dependants.filter(({ metadata }) => metadata.deletionTimestamp !== undefined);
  if (going.length > 0) {
    const names = going.slice(0, maxNamed).map((one) => subjectOf(ownRef(one)));
    return { dependencies, awaitMs: teardownLookMs, awaiting: `waiting for the deletion of ${names.join(', ')}` };
  }
  // deletionTimestamp has whole seconds, so this is up to a second more.
  const sinceMs = Date.now() - Date.parse(object.metadata.deletionTimestamp ?? '');
  return sinceMs < deletedTogetherMs ? { dependencies, awaitMs: deletedTogetherMs - sinceMs } : { dependencies };
}

/** Revision of an object's source, for the rule of the same source, which only Kustomizations have. */
async function revisionOf(dependant: Dependant, deps: WaitingDependencies): Promise<string> {
  if (dependant.kind !== 'Kustomization') return '';
  const source = await sourceOf(dependant, deps);
  return 'revision' in source ? source.revision : '';
}

async function judge(
  object: Dependant,
  target: DependencyTarget,
  sourceRevision: string,
  deps: WaitingDependencies,
): Promise<Unready | undefined> {
  const { kind, namespace, name } = target;
  const dependency = isWatchedKind(kind)
    ? await deps.objects.get(kind, { namespace, name })
    : await read(object, target, deps);
  if (isUnready(dependency)) return dependency;
  return judgeDependency(object, target, dependency, {
    sourceRevision,
    isAdditive: deps.isReadyExprAdditive,
    isHealthy: (other) => deps.isObjectHealthy(other),
  });
}

function isUnready(found: KubeObject | Unready | undefined): found is Unready {
  return found !== undefined && 'isLagging' in found;
}

/** An object of a kind that is not watched; what stands in the way of reading it is told like any other wait. */
async function read(
  object: KubeObject,
  target: DependencyTarget,
  deps: Pick<WaitingDependencies, 'readObject'>,
): Promise<KubeObject | Unready | undefined> {
  const apiVersion = target.apiVersion ?? apiVersionOfKind(target.kind);
  if (!apiVersion) return { why: 'is of a kind that needs an apiVersion in spec.dependsOn', isLagging: false };
  try {
    return await deps.readObject(object, { ...splitApiVersion(apiVersion), ...target });
  } catch (error) {
    if (!(error instanceof KubeApiError) || error.status < 400 || error.status >= 500) throw error;
    return { why: `cannot be read: ${error.message}`, isLagging: false };
  }
}

function cycleOf(object: Dependant, objects: FluxObjects): string[] | undefined {
  return cycleThrough(subjectOf(ownRef(object)), (subject) => {
    const [kind, namespace = '', name = ''] = subject.split('/');
    const found = isWatchedKind(kind) ? objects.peek(kind, { namespace, name }) : undefined;
    return found ? dependencyTargets(found).map(subjectOf) : [];
  });
}

function ownRef({ kind, metadata }: KubeObject): ReconciledRef {
  return { kind: kind as Dependant['kind'], namespace: metadata.namespace ?? '', name: metadata.name };
}

function isTarget(target: DependencyTarget, ref: ReconciledRef): boolean {
  return target.kind === ref.kind && target.namespace === ref.namespace && target.name === ref.name;
}

/** Kinds that have a workflow are asked by signal; of those that are watched only an ExternalArtifact has none. */
function reconciledRefOf({ kind, namespace, name }: DependencyTarget): ReconciledRef[] {
  return isWatchedKind(kind) && kind !== 'ExternalArtifact' ? [{ kind, namespace, name }] : [];
}

/** The time that the condition has told already, so that its text stays the same; else now. */
function waitingSince(object: Dependant): string {
  const ready = object.status?.conditions?.find(({ type }) => type === 'Ready');
  const told = /^waiting since (\S+) /.exec(ready?.message ?? '')?.[1];
  return told ?? nowSeconds();
}

function nowSeconds(): string {
  return `${new Date().toISOString().slice(0, 19)}Z`;
}

function createdAtMs(object: KubeObject): number {
  return Date.parse(object.metadata.creationTimestamp ?? '') || 0;
}
