import { describe, expect, it } from 'vitest';
import { placeOf } from './ssh-transport.ts';

describe('an SSH address', () => {
  it.each([
    ['ssh://git@Git.test/org/app.git', 'git.test', 22, 'git', "git-upload-pack '/org/app.git'"],
    ['ssh://git.test:2222/app', 'git.test', 2222, '', "git-upload-pack '/app'"],
    ['ssh://me%40corp@[::1]:22/app', '::1', 22, 'me@corp', "git-upload-pack '/app'"],
    ['ssh://git@git.test/~me/app', 'git.test', 22, 'git', "git-upload-pack '~me/app'"],
    ['ssh://git@git.test/a%20b', 'git.test', 22, 'git', "git-upload-pack '/a b'"],
    ["ssh://git@git.test/a';id;'", 'git.test', 22, 'git', "git-upload-pack '/a'\\'';id;'\\'''"],
    ['ssh://git@git.test/$(id)`id`!x', 'git.test', 22, 'git', "git-upload-pack '/$(id)`id`'\\!'x'"],
    ['ssh://git@git.test/-x', 'git.test', 22, 'git', "git-upload-pack '/-x'"],
  ])('%s leads to %s port %i as "%s" with %s', (url, host, port, user, command) => {
    expect(placeOf(url)).toEqual({ host, port, user, command });
  });

  it.each(['ssh://git.test', 'ssh://git.test/', 'ssh:///app', 'ssh://git@git.test/a%0Aid', 'ssh://git@git.test/a%00'])(
    '%s is refused',
    (url) => {
      expect(() => placeOf(url)).toThrow('spec.url is not a valid address');
    },
  );
});
