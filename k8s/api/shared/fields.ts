// Scalars and small shapes that many kinds use, as functions of their description.
import * as z from 'zod';

/** A rule in CEL that the API server checks, with the message it refuses with. */
export interface ValidationRule {
  rule: string;
  message: string;
}

/** Adds CEL rules to a schema; `self` in a rule is the value that the schema describes. */
export function withRules<Schema extends z.ZodType>(schema: Schema, rules: readonly ValidationRule[]): Schema {
  return schema.meta({ 'x-kubernetes-validations': rules });
}

/** A Go duration in hours, minutes, seconds and milliseconds, e.g. `1h30m` (contract, pattern D). */
export function duration(description: string) {
  return z
    .string()
    .regex(/^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$/)
    .describe(description);
}

/** A Go duration without hours, e.g. `90s` (contract, pattern T). */
export function shortDuration(description: string) {
  return z
    .string()
    .regex(/^([0-9]+(\.[0-9]+)?(ms|s|m))+$/)
    .describe(description);
}

/** A timestamp, RFC 3339. */
export function timestamp(description: string) {
  return z.string().describe(description).meta({ format: 'date-time' });
}

/** A whole number of 64 bits. */
export function int64(description: string) {
  return z.int().describe(description).meta({ format: 'int64' });
}

/** A map of strings, e.g. labels. */
export function stringMap(description: string) {
  return z.record(z.string(), z.string()).describe(description);
}

/** Any JSON value; the API server keeps it as it is. */
export function freeForm(description: string) {
  return z.unknown().describe(description).meta({ 'x-kubernetes-preserve-unknown-fields': true });
}

/** `suspend`, of every reconciled kind. */
export const suspend = z.boolean().optional().describe('Stop reconciling until it is unset.');

/** `ignore`, of the sources that choose what of their content gets into the artifact. */
export function ignorePatterns(what: 'files' | 'objects') {
  return z
    .string()
    .optional()
    .describe(`Patterns, as in .gitignore, of ${what} to leave out; they replace the built-in ones.`);
}
