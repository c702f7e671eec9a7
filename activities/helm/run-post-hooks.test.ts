import { expect, test } from 'vitest';
import type { PostEvent } from './hook-view.ts';
import { postHookError } from './run-post-hooks.ts';

const cases: [PostEvent, string, string][] = [
  ['post-install', 'resource Job/a/b not ready', 'failed post-install: resource Job/a/b not ready'],
  ['post-upgrade', 'resource Job/a/b not ready', 'post-upgrade hooks failed: resource Job/a/b not ready'],
  ['post-rollback', 'resource Job/a/b not ready', 'resource Job/a/b not ready'],
  [
    'post-install',
    'warning: Hook test app/templates/test.yaml failed: forbidden',
    'failed post-install: warning: Hook post-install app/templates/test.yaml failed: forbidden',
  ],
  [
    'post-upgrade',
    'unable to build kubernetes object for test hook a.yaml: no matches',
    'post-upgrade hooks failed: unable to build kubernetes object for post-upgrade hook a.yaml: no matches',
  ],
];
test.each(cases)('what fails of %s is told as helm tells it: %s', (event, error, expected) => {
  expect(postHookError(event, error)).toBe(expected);
});
