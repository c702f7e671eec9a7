import { expect, test } from 'vitest';
import { definitions, kinds } from '../../k8s/api/index.ts';
import { errorsPage } from './errors-page.ts';
import { fieldRows, indexOf, pageNameOf, pageOf } from './reference.ts';

test('a page lists every field with type, default and rules', () => {
  const page = pageOf(kinds.ImagePolicy);

  expect(page).toContain(
    '| `spec.policy.numerical.order` | string | `"asc"` |  | `asc`, `desc` | `asc` takes the last in this order, `desc` the first. |',
  );
  expect(page).toContain('- interval must be set when digestReflectionPolicy is');
  expect(page).toContain('A new object starts with `{"observedGeneration":-1}`.');
});

test('a page of a kind without status says so', () => {
  expect(pageOf(kinds.Alert)).toContain('This kind has no status');
});

test('list items and map values have paths of their own', () => {
  const rows = fieldRows(
    {
      properties: {
        list: { type: 'array', items: { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] } },
        map: { type: 'object', additionalProperties: { type: 'object', properties: { b: { type: 'integer' } } } },
      },
    },
    'spec',
  );

  expect(rows.map((row) => [row.path, row.type, row.isRequired])).toEqual([
    ['spec.list', 'list of object', false],
    ['spec.list[].a', 'string', true],
    ['spec.map', 'map of object', false],
    ['spec.map.<key>.b', 'integer', false],
  ]);
});

test('every field of every kind is described', () => {
  for (const definition of definitions) {
    const page = pageOf(definition);
    const undescribed = page.split('\n').filter((line) => line.startsWith('| `') && line.endsWith('|  |'));

    expect(undescribed, definition.kind).toEqual([]);
  }
});

test('the index links every page', () => {
  const index = indexOf(definitions);

  for (const definition of definitions) expect(index).toContain(`(${pageNameOf(definition)})`);
});

test('the page of reasons has an anchor for each', () => {
  expect(errorsPage()).toContain('<a id="HealthCheckFailed"></a>`HealthCheckFailed` | backoff |');
});
