import { expect, test } from 'vitest';
import * as z from 'zod';
import { structuralSchemaOf } from './schema.ts';

const cases: { title: string; schema: z.ZodType; expected: unknown }[] = [
  {
    title: 'a field with a default is not required and keeps description and default',
    schema: z.object({ a: z.enum(['x', 'y']).default('x').describe('which'), b: z.string() }),
    expected: {
      type: 'object',
      properties: {
        a: { description: 'which', type: 'string', default: 'x', enum: ['x', 'y'] },
        b: { type: 'string' },
      },
      required: ['b'],
    },
  },
  {
    title: 'an integer has no bound that is not its own',
    schema: z.object({ a: z.int().optional(), b: z.int().min(0).optional() }),
    expected: { type: 'object', properties: { a: { type: 'integer' }, b: { type: 'integer', minimum: 0 } } },
  },
  {
    title: 'a pattern has no escaped slash and keeps other escapes',
    schema: z.string().regex(/^(http|https):\/\/[\\/.]+\.$/),
    expected: { type: 'string', pattern: '^(http|https)://[\\\\/.]+\\.$' },
  },
  {
    title: 'a map has a schema of its values',
    schema: z.record(z.string(), z.string().max(3)),
    expected: { type: 'object', additionalProperties: { type: 'string', maxLength: 3 } },
  },
  {
    title: 'extensions of Kubernetes pass through',
    schema: z.unknown().meta({ 'x-kubernetes-preserve-unknown-fields': true }),
    expected: { 'x-kubernetes-preserve-unknown-fields': true },
  },
  {
    title: 'a schema that is used twice is written out twice',
    schema: (() => {
      const shared = z.object({ name: z.string() });
      return z.object({ a: shared, b: shared });
    })(),
    expected: {
      type: 'object',
      properties: {
        a: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
        b: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
      },
      required: ['a', 'b'],
    },
  },
];

test.each(cases)('$title', ({ schema, expected }) => {
  expect(structuralSchemaOf(schema)).toEqual(expected);
});

test('names the place of what a structural schema cannot say', () => {
  const schema = z.object({ a: z.union([z.string(), z.object({})]) });

  expect(() => structuralSchemaOf(schema)).toThrow('schema.a uses "anyOf"');
});
