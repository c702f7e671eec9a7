// spec.healthCheckExprs: health by CEL expressions, per apiVersion and kind (contract 1.8 and 2.1).
import type { Environment } from '@marcbachmann/cel-js';
import { celEnvironment, type CelProgram, compileCel, toCel } from '../../k8s/cel.ts';
import { joinApiVersion, type KubeObject, type ObjectRef } from '../../k8s/object.ts';
import { failure, messageOf } from '../errors.ts';
import { type Health, healthOf, observedGenerationBehind } from './status.ts';

/** One entry of `spec.healthCheckExprs`. */
export interface HealthExpression {
  apiVersion: string;
  /** Without it the entry holds for every kind of the group and version. */
  kind?: string;
  current: string;
  inProgress?: string;
  failed?: string;
}

export type Evaluate = (object: KubeObject | undefined, nowMs?: number) => Health;

/** The variables that an expression sees: the fields of an object that every kind may have. */
const variables = ['apiVersion', 'kind', 'metadata', 'spec', 'status', 'data', 'self'] as const;

/**
 * Compiles the entries; objects that no entry names keep the usual rules. The order is inProgress, failed, current, as
 * in Flux; while `status.observedGeneration` is behind nothing is evaluated.
 * Fails with InvalidCELExpression, naming the entry and its field.
 */
export function compileHealthExpressions(expressions: readonly HealthExpression[]): Evaluate {
  if (expressions.length === 0) return healthOf;
  const environment = celEnvironment(variables);
  const rules = new Map<string, Evaluate>();
  for (const [index, entry] of expressions.entries()) {
    const compile = (field: 'inProgress' | 'failed' | 'current'): CelProgram | undefined =>
      entry[field] ? compileOne(environment, entry[field], `spec.healthCheckExprs[${index}].${field}`) : undefined;
    const rule = ruleOf(compile('inProgress'), compile('failed'), compile('current'));
    rules.set(`${entry.apiVersion} ${entry.kind ?? ''}`, rule);
  }
  return (object, nowMs) => {
    const rule = object && (rules.get(`${object.apiVersion} ${object.kind}`) ?? rules.get(`${object.apiVersion} `));
    return rule ? rule(object, nowMs) : healthOf(object, nowMs);
  };
}

/** True when an entry holds for an object: its health can then depend on any of its fields. */
export function isJudgedByExpression(expressions: readonly HealthExpression[], ref: ObjectRef): boolean {
  const apiVersion = joinApiVersion(ref);
  return expressions.some((entry) => entry.apiVersion === apiVersion && (!entry.kind || entry.kind === ref.kind));
}

const judged = new WeakMap<readonly HealthExpression[], string>();

/** Why the entries do not compile, '' when they do. The same list is compiled once only. */
export function healthExpressionError(expressions: readonly HealthExpression[]): string {
  const known = judged.get(expressions);
  if (known !== undefined) return known;
  let error = '';
  try {
    compileHealthExpressions(expressions);
  } catch (cause) {
    error = messageOf(cause);
  }
  judged.set(expressions, error);
  return error;
}

function compileOne(environment: Environment, expression: string, field: string): CelProgram {
  try {
    return compileCel(environment, expression);
  } catch (cause) {
    throw failure('InvalidCELExpression', `${field} "${expression}" does not compile: ${messageOf(cause)}`, { cause });
  }
}

function ruleOf(
  inProgress: CelProgram | undefined,
  failed: CelProgram | undefined,
  current: CelProgram | undefined,
): Evaluate {
  return (object) => {
    if (!object) return healthOf(undefined);
    if (object.metadata.deletionTimestamp) return { status: 'Terminating', message: 'is being deleted' };
    const behind = observedGenerationBehind(object);
    if (behind) return behind;
    try {
      const context = contextOf(object);
      if (inProgress?.(context) === true) return { status: 'InProgress', message: 'its inProgress expression holds' };
      if (failed?.(context) === true) return { status: 'Failed', message: 'its failed expression holds' };
      if (current?.(context) === true) return { status: 'Current', message: 'its current expression holds' };
      return { status: 'InProgress', message: 'none of its expressions holds' };
    } catch (error) {
      // A field that the controller has not written yet: wait for it, as every expression may name such fields.
      return {
        status: 'InProgress',
        message: `its expressions cannot be evaluated yet: ${messageOf(error).split('\n')[0]}`,
      };
    }
  };
}

function contextOf(object: KubeObject): Record<string, unknown> {
  const self = toCel(object) as Record<string, unknown>;
  const context: Record<string, unknown> = { metadata: {}, spec: {}, status: {}, data: {}, ...self };
  context.self = self;
  return context;
}
