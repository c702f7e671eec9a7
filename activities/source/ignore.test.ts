import { describe, expect, it } from 'vitest';
import { compileIgnoreRules, type IgnoreFile } from './ignore.ts';

interface Case {
  title: string;
  files?: IgnoreFile[];
  spec?: string;
  kept: string[];
  ignored: string[];
}

const root = (text: string): IgnoreFile[] => [{ directory: '', text }];

const cases: Case[] = [
  {
    title: 'applies the default list when nobody has a pattern',
    kept: ['a.yaml', 'docs/readme.md', '.sourceignore', 'github/x', 'cloudbuild.yml', 'sops.yaml'],
    ignored: ['.gitignore', 'a/.gitmodules', '.git/config', 'a.png', 'b/c.tar.gz', '.github/workflows/ci.yaml'].concat([
      'a/.circleci/config.yml',
      '.travis.yml',
      'x/appveyor.yml',
      'deep/down/.sops.yaml',
      '.flux.yaml',
    ]),
  },
  {
    title: 'drops the default list, and keeps the always-list, as soon as there is a pattern',
    spec: '*.md',
    kept: ['a.png', '.github/ci.yaml', '.sops.yaml'],
    ignored: ['readme.md', 'a/readme.md', '.gitattributes', 'a/.gitignore'],
  },
  {
    title: 'keeps the default list when there are only comments and blank lines',
    files: root('# nothing\n\n   \n'),
    spec: '# nothing either\n',
    kept: ['a.yaml'],
    ignored: ['a.png'],
  },
  {
    title: 'takes only one directory back in',
    spec: '/*\n!/deploy\n',
    kept: ['deploy/a.yaml', 'deploy/b/c.yaml'],
    ignored: ['a.yaml', 'src/deploy/a.yaml'],
  },
  {
    title: 'takes a directory below an excluded one back in',
    spec: '# all\n/*\n!/clusters/prod\n/clusters/prod/**/*.md\n',
    kept: ['clusters/prod/a.yaml', 'clusters/prod/x/y.yaml'],
    ignored: ['clusters/dev/a.yaml', 'clusters/prod/x/readme.md', 'clusters/prod/readme.md'],
  },
  {
    title: 'lets spec.ignore decide after .sourceignore',
    files: root('*.txt\n/secret\n'),
    spec: '!keep.txt\n!.gitignore\n',
    kept: ['keep.txt', 'a/keep.txt', '.gitignore'],
    ignored: ['a.txt', 'secret/a.yaml'],
  },
  {
    title: 'ties the patterns of a nested .sourceignore to its directory and puts them after its parents',
    files: [
      { directory: 'apps/web', text: '/local\n*.tmp\n!keep.log\n' },
      { directory: '', text: '*.log\n' },
    ],
    kept: ['local/a', 'a.tmp', 'apps/local/a', 'apps/web/sub/local', 'apps/web/keep.log'],
    ignored: ['apps/web/local/a', 'apps/web/x/y.tmp', 'a.log', 'apps/web/a.log', 'apps/keep.log'],
  },
  {
    title: 'matches a directory pattern against directories only',
    spec: 'build/\n/dist/',
    kept: ['build', 'a/build', 'dist', 'a/dist/x'],
    ignored: ['build/a', 'a/build/b/c', 'dist/a'],
  },
  {
    title: 'knows **, ?, classes and escapes',
    spec: 'a/**/z\n**/deep/x\nlogs/**\nf?o\n[a-c].yaml\n[!x].json\n\\!bang\n\\#hash\nsp ace \n',
    kept: ['a/y', 'logs', 'foo/x'.replace('foo', 'fooo'), 'd.yaml', 'x.json', 'bang'],
    ignored: ['a/z', 'a/b/c/z', 'a/b/z/inner', 'deep/x', 'q/r/deep/x', 'logs/a', 'foo', 'fxo/b', 'b.yaml'].concat([
      'y.json',
      '!bang',
      '#hash',
      'sp ace',
    ]),
  },
  {
    title: 'treats a pattern with a slash in the middle as anchored',
    spec: 'a/b\n',
    kept: ['x/a/b', 'a/c'],
    ignored: ['a/b', 'a/b/c'],
  },
  {
    title: 'answers for patterns made to be slow',
    spec: `${'*a'.repeat(60)}b\n${'**/a/'.repeat(60)}b\n`,
    kept: ['a'.repeat(250), 'a/'.repeat(1000).concat('c')],
    ignored: [`${'a'.repeat(250)}b`],
  },
  { title: 'survives a broken class', spec: '[z\n[]\n', kept: ['z', '[z', 'a'], ignored: [] },
];

describe('ignore rules', () => {
  it.each(cases)('$title', ({ files = [], spec, kept, ignored }) => {
    const rules = compileIgnoreRules(files, spec);
    expect(kept.filter((path) => rules.isIgnored(path))).toEqual([]);
    expect(ignored.filter((path) => !rules.isIgnored(path))).toEqual([]);
  });
});
