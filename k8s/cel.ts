// CEL expressions over Kubernetes objects, as health checks and dependencies use them (contract 1.8, 2.1).
import { Environment, type ParseResult } from '@marcbachmann/cel-js';

/** Evaluates a compiled expression. Throws when a field that it names is not there, or a type does not fit. */
export type CelProgram = (variables: Readonly<Record<string, unknown>>) => unknown;

const maxLength = 10_000;

/** An environment in which these variables may hold anything, with optional types. */
export function celEnvironment(variables: readonly string[]): Environment {
  const environment = new Environment({ unlistedVariablesAreDyn: true, enableOptionalTypes: true });
  for (const name of variables) environment.registerVariable(name, 'dyn');
  return environment;
}

/** Compiles an expression that gives a bool. Throws an `Error` that says what is wrong with it, for people. */
export function compileCel(environment: Environment, expression: string): CelProgram {
  if (expression.length > maxLength) throw new Error(`longer than ${maxLength} characters`);
  const parsed: ParseResult = environment.parse(expression);
  const checked = parsed.check();
  if (!checked.valid) throw checked.error ?? new Error('the types do not fit');
  if (checked.type !== 'bool' && checked.type !== 'dyn') throw new Error(`expected a bool, got ${checked.type}`);
  return (context) => parsed(context);
}

/** A JSON value for CEL, which knows whole numbers as 64-bit integers: BigInts here. */
export function toCel(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(toCel);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, toCel(part)]));
}
