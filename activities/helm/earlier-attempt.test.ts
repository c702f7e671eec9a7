import { expect, test } from 'vitest';
import { attemptAnnotation } from './api-gateway.ts';
import { isMadeBy, recordedCause, replacedRevision } from './earlier-attempt.ts';

const revisions = (...statuses: string[]) =>
  statuses.map((status, index) => ({ version: statuses.length - index, status }));

const replaced: [string, string[], string[] | undefined, string | undefined][] = [
  ['the deployed one', ['failed', 'deployed', 'superseded'], undefined, '2 deployed'],
  ['the newest, where none is deployed', ['failed', 'superseded'], undefined, '2 failed'],
  ['none of a first install', [], undefined, undefined],
  ['one that helm has renamed already', ['superseded', 'superseded'], ['deployed', 'superseded'], '2 deployed'],
  ['one below a failed one, renamed already', ['failed', 'superseded'], ['failed', 'deployed'], '1 deployed'],
  ['a failed one, renamed already', ['superseded', 'failed'], ['failed', 'failed'], '2 failed'],
  ['one that the status does not tell of', ['deployed'], [], '1 deployed'],
];
test.each(replaced)('an action replaces %s', (_, stored, told, expected) => {
  const found = replacedRevision(revisions(...stored), told && revisions(...told));
  expect(found && `${found.version} ${found.status}`).toBe(expected);
});

const causes: [string, string][] = [
  ['Release "app" failed: pre-install hooks failed', 'pre-install hooks failed'],
  ['Upgrade "app" failed: a\nb', 'a\nb'],
  ['Upgrade complete', 'Upgrade complete'],
  ['', ''],
];
test.each(causes)('the cause in %j is %j', (description, cause) => expect(recordedCause(description)).toBe(cause));

test('an attempt knows its own revision by its mark', () => {
  expect(isMadeBy('own', { annotations: { [attemptAnnotation]: 'own' } })).toBe(true);
  expect(isMadeBy('own', { annotations: { [attemptAnnotation]: 'own (changed, not made)' } })).toBe(false);
  expect(isMadeBy('own', { annotations: {} })).toBe(false);
});
