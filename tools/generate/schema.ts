// From a zod schema to the structural OpenAPI schema that a CustomResourceDefinition takes.
import * as z from 'zod';

/** The part of OpenAPI v3 that a structural schema may hold and that our kinds use. */
export interface StructuralSchema {
  description?: string;
  type?: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  format?: string;
  default?: unknown;
  enum?: unknown[];
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  items?: StructuralSchema;
  properties?: Record<string, StructuralSchema>;
  additionalProperties?: StructuralSchema;
  required?: string[];
  'x-kubernetes-validations'?: { rule: string; message: string }[];
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-list-type'?: string;
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-map-type'?: string;
}

/** The keywords in the order in which they are written; anything else is a mistake in a schema of ours. */
const keywords = [
  'description',
  'type',
  'format',
  'default',
  'enum',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'minItems',
  'maxItems',
  'items',
  'properties',
  'additionalProperties',
  'required',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-validations',
] as const satisfies readonly (keyof StructuralSchema)[];

/**
 * The structural schema of a zod schema as the API server is to see it before defaults are filled in.
 * Throws an `Error` that names the place for anything that a structural schema cannot say.
 */
export function structuralSchemaOf(schema: z.ZodType): StructuralSchema {
  const json = z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', reused: 'inline', cycles: 'throw' });
  return normalise(json, 'schema');
}

function normalise(source: Record<string, unknown>, path: string): StructuralSchema {
  const target: Record<string, unknown> = {};
  for (const key of Object.keys(source)) {
    if (key !== '$schema' && !(keywords as readonly string[]).includes(key)) {
      throw new Error(`${path} uses "${key}", which a structural schema does not allow: express it in another way`);
    }
  }
  for (const key of keywords) {
    const value = source[key];
    if (value === undefined) continue;
    if (key === 'properties') {
      const entries = Object.entries(value as Record<string, Record<string, unknown>>);
      target[key] = Object.fromEntries(entries.map(([name, child]) => [name, normalise(child, `${path}.${name}`)]));
    } else if (key === 'items' || key === 'additionalProperties') {
      target[key] = normalise(value as Record<string, unknown>, `${path}.${key}`);
    } else if (key === 'pattern') {
      target[key] = unescapeSlashes(value as string);
    } else if ((key === 'minimum' || key === 'maximum') && Math.abs(value as number) === Number.MAX_SAFE_INTEGER) {
      // zod bounds every integer by what a JavaScript number holds; the API knows no such bound.
    } else {
      target[key] = value;
    }
  }
  return target;
}

/** A JavaScript expression escapes `/`, which no other dialect needs. */
function unescapeSlashes(pattern: string): string {
  return pattern.replaceAll(/\\(.)/g, (escaped, character: string) => (character === '/' ? '/' : escaped));
}
