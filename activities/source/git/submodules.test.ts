import { describe, expect, it } from 'vitest';
import { isSameServer, parseModules, submoduleUrl } from './submodules.ts';

describe('.gitmodules', () => {
  it('is read as Git writes it', () => {
    const text = [
      '# a comment',
      '[submodule "lib"]',
      '\tpath = libs/lib',
      '\turl = ../lib.git ; the library',
      '\tbranch = main',
      '[submodule "with \\"quotes\\""]',
      '  Path = "with space"',
      '  URL = "https://git.test/#1.git"',
      '[submodule "half"]',
      '  path = half',
      '[core]',
      '  url = https://other.test/x',
      '  path = other',
    ].join('\n');
    expect(parseModules(text)).toEqual([
      { path: 'libs/lib', url: '../lib.git' },
      { path: 'with space', url: 'https://git.test/#1.git' },
    ]);
    expect(parseModules('')).toEqual([]);
  });

  it.each(['../out', '/etc', 'a/../../b', 'a//b', './a', '.git/hooks', 'a/.GIT', 'a\\\\b', 'a\u0001b'])(
    'with the path %j is refused',
    (path) => {
      expect(() => parseModules(`[submodule "x"]\npath = ${path}\nurl = ../x`)).toThrow('not allowed in a commit');
    },
  );

  it.each<[string, string, string]>([
    ['https://git.test/org/app.git', '../lib.git', 'https://git.test/org/lib.git'],
    ['https://git.test/org/app.git', './lib.git', 'https://git.test/org/app.git/lib.git'],
    ['https://git.test:8443/org/app', '../../other/lib', 'https://git.test:8443/other/lib'],
    ['ssh://git@git.test:2222/org/app.git', '../lib.git', 'ssh://git@git.test:2222/org/lib.git'],
    ['https://git.test/a', '../', 'https://git.test/'],
    ['https://git.test/a', '../?x#y', 'https://git.test/%3Fx%23y'],
    ['https://git.test/a', '..//evil.test/x', 'https://git.test/evil.test/x'],
    ['https://git.test/a', 'https://other.test/b.git/', 'https://other.test/b.git'],
    ['https://git.test/a', 'https://user:pass@other.test/b?x=1#y', 'https://other.test/b'],
    ['https://git.test/a', 'ssh://git:pass@other.test/b', 'ssh://git@other.test/b'],
    ['https://git.test/a', 'git@other.test:org/b.git', 'ssh://git@other.test/org/b.git'],
    ['https://git.test/a', 'other.test:/srv/b.git', 'ssh://other.test/srv/b.git'],
  ])('in %s the URL %s means %s', (parent, url, expected) => {
    expect(submoduleUrl(parent, url)).toBe(expected);
  });

  it.each([
    '/etc/passwd',
    'file:///etc',
    'git://git.test/a',
    'ext::sh -c id',
    'fd::3',
    '-oProxyCommand=id',
    'ssh://-oProxyCommand=id/x',
    'http://',
    'ftp://git.test/a',
    '',
    '../../../../x',
  ])('refuses the URL %j', (url) => {
    expect(() => submoduleUrl('https://git.test/org/app.git', url)).toThrow(/\.gitmodules has the URL/);
  });

  it('shows no password', () => {
    expect(() => submoduleUrl('https://git.test/a', 'ftp://me:secret@git.test/a')).not.toThrow('secret');
  });

  it.each<[string, string, boolean]>([
    ['https://git.test/a', 'https://git.test:443/b', true],
    ['https://git.test/a', 'https://GIT.test/b', true],
    ['https://git.test/a', 'http://git.test/b', false],
    ['https://git.test/a', 'https://git.test:8443/b', false],
    ['https://git.test/a', 'https://git.test.evil/b', false],
    ['https://git.test/a', 'ssh://git.test/b', false],
    ['ssh://a@git.test/a', 'ssh://b@Git.test:22/b', true],
    ['ssh://git.test/a', 'ssh://git.test:2222/b', false],
  ])('credentials of %s for %s: %s', (a, b, expected) => {
    expect(isSameServer(a, b)).toBe(expected);
  });
});
