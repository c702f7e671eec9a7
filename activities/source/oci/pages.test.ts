import { expect, it } from 'vitest';
import { nextPage } from './pages.ts';

const page = 'https://registry.test/v2/a/tags/list?n=2';

it.each([
  [undefined, undefined],
  ['</v2/a/tags/list?n=2&last=b>; rel="next"', '/v2/a/tags/list?n=2&last=b'],
  ['<https://registry.test/v2/a/tags/list?last=b>; rel=next', '/v2/a/tags/list?last=b'],
  ['<?last=b>; rel="next"', '/v2/a/tags/list?last=b'],
  ['</first>; rel="first", </v2/a/tags/list?last=c>; type="x"; rel="next"', '/v2/a/tags/list?last=c'],
  ['</v2/a/tags/list?last=b>; rel="prev"', undefined],
  ['<https://evil.test/v2/a/tags/list?last=b>; rel="next"', undefined],
  ['<http://registry.test/v2/a/tags/list?last=b>; rel="next"', undefined],
  [`<${'<'.repeat(9000)}`, undefined],
])('the next page of %j', (link, expected) => {
  expect(nextPage(link, page)).toBe(expected);
});
