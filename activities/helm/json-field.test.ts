import { expect, test } from 'vitest';
import { placeOfField } from './json-field.ts';

const fields: [string, string, string | undefined][] = [
  ['{"a":1,"hooks":[{"n":"x]"}],"v":2}', 'hooks', '[{"n":"x]"}]'],
  ['{ "hooks" : {"a":[1,{"b":2}]} , "v":2 }', 'hooks', '{"a":[1,{"b":2}]} '],
  ['{"deep":{"hooks":[1]},"list":["hooks"],"s":"hooks","hooks":null}', 'hooks', 'null'],
  ['{"s":"a \\"hooks\\":[0] \\\\","hooks":"te\\\\\\"xt"}', 'hooks', '"te\\\\\\"xt"'],
  ['{"v":12345678901234567890}', 'v', '12345678901234567890'],
  ['{"s":"\\"","v":2}', 'hooks', undefined],
  ['{}', 'hooks', undefined],
];
test.each(fields)('in %s the field %s is found by its place', (json, name, expected) => {
  const place = placeOfField(json, name);
  expect(place && json.slice(place.start, place.end)).toBe(expected);
});

test.each(['{"hooks":[1', '{"hooks":"x', '{"a'])('%s is cut off', (json) => {
  expect(() => placeOfField(json, 'hooks')).toThrow('cut off');
});
