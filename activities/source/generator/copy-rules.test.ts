import { describe, expect, it, test } from 'vitest';
import { filesToCopy, parseAliased } from './copy-rules.ts';
import { createSourceTree } from './source-tree.ts';

const paths = [
  'README.md',
  'apps/web/deploy.yaml',
  'apps/web/docs/README.md',
  'apps/web/tests/a.yaml',
  'apps/api/deploy.yaml',
  'apps-old/web/deploy.yaml',
  'charts/web-1.0.0.tgz',
  'charts/notes.txt',
  'charts/old/web.TAR.GZ',
  '.hidden/x.yaml',
];
const tree = createSourceTree({ directory: '/', files: new Map(paths.map((path) => [path, 'a'.repeat(64)])) });
const taken = (from: string, to: string, more: object = {}, directories: string[] = []): string[] =>
  filesToCopy({ from: `@src/${from}`, to: `@artifact/${to}`, ...more }, tree, (path) => directories.includes(path)).map(
    (file) => `${file.from} → ${file.to}`,
  );

describe('filesToCopy', () => {
  test.each<[what: string, from: string, to: string, expected: string[], more?: object, directories?: string[]]>([
    ['a file to a name', 'README.md', 'about.md', ['README.md → about.md']],
    ['a file into a directory', 'README.md', 'docs/', ['README.md → docs/README.md']],
    ['a file into the root', 'apps/api/deploy.yaml', '', ['apps/api/deploy.yaml → deploy.yaml']],
    ['a file into a directory that is there', 'README.md', 'docs', ['README.md → docs/README.md'], {}, ['docs']],
    ['a file that is excluded', 'README.md', '', [], { exclude: ['*.md'] }],
    ['a directory by its name', 'apps/api', 'x', ['apps/api/deploy.yaml → x/api/deploy.yaml']],
    ['a directory with a slash', 'apps/api/', '', ['apps/api/deploy.yaml → api/deploy.yaml']],
    [
      'a directory without some of it',
      'apps/web/',
      '',
      ['apps/web/deploy.yaml → web/deploy.yaml'],
      { exclude: ['docs', 'tests/**'] },
    ],
    ['what is in a directory', 'apps/api/**', 'x', ['apps/api/deploy.yaml → x/deploy.yaml']],
    ['a directory by glob', 'apps/a*', '', ['apps/api/deploy.yaml → apps/api/deploy.yaml']],
    ['a glob in the root', '*.md', 'd', ['README.md → d/README.md']],
    [
      'names at any depth',
      '**/deploy.yaml',
      'x',
      [
        'apps-old/web/deploy.yaml → x/apps-old/web/deploy.yaml',
        'apps/api/deploy.yaml → x/apps/api/deploy.yaml',
        'apps/web/deploy.yaml → x/apps/web/deploy.yaml',
      ],
    ],
    [
      'below what was selected, without a directory of it',
      'apps/**',
      '',
      ['apps/api/deploy.yaml → api/deploy.yaml'],
      { exclude: ['web/**'] },
    ],
    [
      'an excluded directory, whatever fits in it',
      'apps/**',
      '',
      ['apps/api/deploy.yaml → api/deploy.yaml', 'apps/web/deploy.yaml → web/deploy.yaml'],
      { exclude: ['docs', '**/tests'] },
    ],
    ['hidden files', '.hidden/*', '', ['.hidden/x.yaml → .hidden/x.yaml']],
    ['a tarball', 'charts/web-1.0.0.tgz', 'web', ['charts/web-1.0.0.tgz → web'], { strategy: 'Extract' }],
    ['tarballs of a directory', 'charts/*', 'c/', ['charts/web-1.0.0.tgz → c'], { strategy: 'Extract' }],
    [
      'tarballs at any depth',
      '**/*',
      '',
      ['charts/old/web.TAR.GZ → ', 'charts/web-1.0.0.tgz → '],
      { strategy: 'Extract' },
    ],
  ])('%s', (_what, from, to, expected, more, directories) => {
    expect(taken(from, to, more, directories)).toEqual(expected);
  });

  it('takes the whole source', () => {
    expect(taken('', '')).toHaveLength(paths.length);
    expect(taken('**', '')).toEqual(taken('', ''));
    expect(taken('./', 'x')[0]).toBe('.hidden/x.yaml → x/.hidden/x.yaml');
  });

  test.each<[from: string, to: string, message: string, more?: object]>([
    ['nowhere', '', '"nowhere" does not exist in the source'],
    ['*.json', '', 'no files match "*.json" in the source'],
    ['*.md', '', 'all files that match "*.md" are excluded', { exclude: ['*.md'] }],
    ['[a', '', 'has a "[" without its "]"'],
    ['*', '', 'has a "{" without its "}"', { exclude: ['{a'] }],
    ['README.md', '', '"README.md" is no tarball', { strategy: 'Extract' }],
    ['charts', '', '"charts" is a directory', { strategy: 'Extract' }],
    ['../secret', '', '"@src/../secret" cannot be used: its path leaves the archive by ".."'],
    ['a/../../b', '', 'leaves the archive by ".."'],
    ['/etc/passwd', '', '"@src//etc/passwd" has an absolute path'],
    ['README.md', '../x', '"@artifact/../x" cannot be used: its path leaves the archive by ".."'],
    ['README.md', '/etc/x', '"@artifact//etc/x" has an absolute path'],
    ['README.md', 'a\0b', 'holds a NUL byte'],
  ])('refuses %s to "%s"', (from, to, message, more) => {
    expect(() => taken(from, to, more)).toThrow(message);
  });
});

describe('parseAliased', () => {
  it('takes an alias and a normal path', () => {
    expect(parseAliased('@my-src/./a//b/')).toEqual({ alias: 'my-src', path: 'a/b' });
    expect(() => parseAliased('src/a')).toThrow('"src/a" is not of the form "@<alias>/<path>"');
  });
});
