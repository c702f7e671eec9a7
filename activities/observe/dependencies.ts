// spec.dependsOn: which objects are waited for, and whether each of them is ready, as pure rules (contract 2.1).
import { celEnvironment, type CelProgram, compileCel, toCel } from '../../k8s/cel.ts';
import type { DependencyRef } from '../../k8s/api/shared/reference.ts';
import { type KubeObject, splitApiVersion, subjectOf } from '../../k8s/object.ts';
import { messageOf } from '../errors.ts';

/** An object that another one waits for. */
export interface DependencyTarget {
  /** Unset: the one that the kind has by default. */
  apiVersion?: string;
  kind: string;
  namespace: string;
  name: string;
  readyExpr?: string;
}

/** Why a dependency is not ready. */
export interface Unready {
  why: string;
  /** It is only behind, and has not failed: it may well be ready in a moment. */
  isLagging: boolean;
}

/** The targets of an object's dependsOn, with the defaults filled in. */
export function dependencyTargets(object: KubeObject): DependencyTarget[] {
  const { dependsOn = [] } = (object.spec ?? {}) as { dependsOn?: DependencyRef[] };
  return dependsOn.map(({ apiVersion, kind = object.kind, namespace, name, readyExpr }) => ({
    apiVersion,
    kind,
    namespace: namespace ?? object.metadata.namespace ?? '',
    name,
    readyExpr,
  }));
}

export interface JudgeOptions {
  /** Revision of the waiting object's source, for the rule of the same source. */
  sourceRevision: string;
  /** An expression is asked besides the built-in rule, not in its place (gate AdditiveCELDependencyCheck). */
  isAdditive: boolean;
  /** Health of an object that is none of Flux's kinds. */
  isHealthy(object: KubeObject): boolean;
}

/** Whether a dependency holds up `self`; undefined when it is ready. */
export function judgeDependency(
  self: KubeObject,
  target: DependencyTarget,
  dependency: KubeObject | undefined,
  options: JudgeOptions,
): Unready | undefined {
  if (!dependency) return { why: 'does not exist', isLagging: false };
  if (target.readyExpr) {
    const unready = judgeByExpression(self, dependency, target.readyExpr);
    if (unready || !options.isAdditive) return unready;
  }
  return judgeByRule(self, dependency, options);
}

function judgeByRule(self: KubeObject, dependency: KubeObject, options: JudgeOptions): Unready | undefined {
  if (!isFluxKind(dependency)) {
    return options.isHealthy(dependency) ? undefined : { why: 'is not healthy yet', isLagging: true };
  }
  const status = (dependency.status ?? {}) as FluxStatus;
  const ready = status.conditions?.find(({ type }) => type === 'Ready');
  const isLagging = ready?.status !== 'False';
  const { generation = 1 } = dependency.metadata;
  if (status.observedGeneration !== undefined && status.observedGeneration !== generation && isLagging) {
    return { why: `has not reconciled its generation ${generation} yet`, isLagging };
  }
  if (ready?.status !== 'True') {
    return {
      why: `is not ready: ${(ready?.message ?? 'it has not been reconciled yet').slice(0, maxReasonLength)}`,
      isLagging,
    };
  }
  if (isSameSource(self, dependency) && status.lastAppliedRevision !== options.sourceRevision) {
    return {
      why: `is at revision "${status.lastAppliedRevision ?? ''}", expected "${options.sourceRevision}"`,
      isLagging: true,
    };
  }
  return undefined;
}

function judgeByExpression(self: KubeObject, dependency: KubeObject, expression: string): Unready | undefined {
  try {
    if (compiled(expression)({ self: toCel(self), dep: toCel(dependency) }) === true) return undefined;
    return { why: 'does not fulfil its readyExpr yet', isLagging: false };
  } catch (error) {
    // Mostly a field that its controller has not written yet.
    return { why: `cannot be judged by its readyExpr yet: ${firstLine(messageOf(error))}`, isLagging: false };
  }
}

/** Why the first expression that does not compile does not; '' when all do. */
export function dependencyExpressionError(object: KubeObject): string {
  for (const [index, { readyExpr }] of dependencyTargets(object).entries()) {
    try {
      if (readyExpr) compiled(readyExpr);
    } catch (error) {
      return `spec.dependsOn[${index}].readyExpr "${readyExpr}" does not compile: ${firstLine(messageOf(error))}`;
    }
  }
  return '';
}

/** A way from an object along dependencies back to itself, both ends included; undefined when there is none. */
export function cycleThrough(start: string, dependenciesOf: (subject: string) => string[]): string[] | undefined {
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    for (const next of dependenciesOf(at)) {
      if (next === start) {
        const way = [start];
        for (let step: string | undefined = at; step !== undefined && step !== start; step = cameFrom.get(step)) {
          way.push(step);
        }
        return [...way, start].reverse();
      }
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, at);
      queue.push(next);
    }
  }
  return undefined;
}

/** The sentence that a condition says of what is waited for; `since` is an ISO time. */
export function waitingMessage(unready: readonly { target: DependencyTarget; why: string }[], since: string): string {
  const told = unready.slice(0, maxTold).map(({ target, why }) => `${subjectOf(target)} ${why}`);
  const more = unready.length > maxTold ? `; and ${unready.length - maxTold} more` : '';
  return `waiting since ${since} for dependencies: ${told.join('; ')}${more}`;
}

interface FluxStatus {
  observedGeneration?: number;
  lastAppliedRevision?: string;
  conditions?: { type: string; status: string; message?: string }[];
}

function isFluxKind(object: KubeObject): boolean {
  return splitApiVersion(object.apiVersion).group.endsWith('.toolkit.fluxcd.io');
}

interface SourceOf {
  sourceRef?: { kind: string; name: string; namespace?: string };
}

function isSameSource(self: KubeObject, dependency: KubeObject): boolean {
  const ours = (self.spec as SourceOf | undefined)?.sourceRef;
  const theirs = (dependency.spec as SourceOf | undefined)?.sourceRef;
  return (
    self.kind === dependency.kind &&
    ours !== undefined &&
    theirs !== undefined &&
    ours.kind === theirs.kind &&
    ours.name === theirs.name &&
    (ours.namespace ?? self.metadata.namespace) === (theirs.namespace ?? dependency.metadata.namespace)
  );
}

const environment = celEnvironment(['self', 'dep']);
const programs = new Map<string, CelProgram>();

/** Compiled once; a process that has seen very many forgets the oldest. */
function compiled(expression: string): CelProgram {
  let program = programs.get(expression);
  if (!program) {
    program = compileCel(environment, expression);
    programs.set(expression, program);
    if (programs.size > maxPrograms) programs.delete(programs.keys().next().value ?? '');
  }
  return program;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}

const maxPrograms = 1_000;
const maxReasonLength = 200;
const maxTold = 5;
