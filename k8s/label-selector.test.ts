import { expect, test } from 'vitest';
import { parseLabelSelector } from './label-selector.ts';

const labels = { app: 'web', tier: 'front', 'example.com/team': 'a' };

test.each<[string, boolean]>([
  ['', true],
  ['app=web', true],
  ['app == web', true],
  ['app=db', false],
  ['app!=db', true],
  ['missing!=db', true],
  ['app', true],
  ['missing', false],
  ['!missing', true],
  ['!app', false],
  ['tier in (front, back)', true],
  ['tier in (back)', false],
  ['missing in (a)', false],
  ['tier notin (back)', true],
  ['tier notin (front)', false],
  ['missing notin (front)', true],
  ['app=web,tier in (front,back),!missing', true],
  ['app=web,tier=back', false],
  ['example.com/team=a', true],
])('selector "%s" gives %s', (selector, expected) => {
  expect(parseLabelSelector(selector)(labels)).toBe(expected);
});

test.each(['=web', 'app in web', 'app=(a)', 'a b'])('refuses "%s" and quotes it', (selector) => {
  expect(() => parseLabelSelector(selector)).toThrow(`"${selector}"`);
});
