// Charts as we package them, against `helm package`, `helm dependency build` and `helm pull` of the real helm.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readValuesYaml } from '../../activities/helm/values-yaml.ts';
import {
  chartFiles,
  createHelm,
  type Helm,
  startChartRepository,
  type TestChartRepository,
  writeFiles,
} from '../servers/chart-repository.ts';
import { createHelmFixture, type HelmFixture } from '../servers/helm-fixture.ts';

let fixture: HelmFixture;
let directory: string;
let helm: Helm;
let server: TestChartRepository;

beforeAll(async () => {
  server = await startChartRepository();
}, 120_000);
afterAll(() => server.close());
beforeEach(async () => {
  fixture = createHelmFixture();
  directory = mkdtempSync(join(tmpdir(), 'continuo-golden-'));
  helm = await createHelm(join(directory, 'home'));
});
afterEach(() => {
  fixture.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Path → content of a package. The YAML that Helm writes anew is compared as what it says. */
function contents(archive: string): Record<string, unknown> {
  const target = mkdtempSync(join(directory, 'unpacked-'));
  execFileSync('tar', ['--warning=no-timestamp', '-xzf', archive, '-C', target]);
  const paths = readdirSync(target, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(target.length + 1))
    .sort();
  return Object.fromEntries(
    paths.map((path) => {
      const text = readFileSync(join(target, path), 'latin1');
      return [path, path.endsWith('Chart.lock') ? readValuesYaml(text) : text];
    }),
  );
}

async function ours(files: Record<string, string | Buffer>): Promise<Record<string, unknown>> {
  await fixture.publishSource('GitRepository', 'app', 'main@sha1:1', files);
  const sourceRef = { kind: 'GitRepository', name: 'app' };
  fixture.put('HelmChart', 'web', { chart: 'web', sourceRef, reconcileStrategy: 'ChartVersion' });
  const archived = await fixture.reconcile('HelmChart', 'web');
  if (!archived) throw new Error('nothing was archived');
  return contents(fixture.fileOf(archived));
}

async function theirs(
  files: Record<string, string | Buffer>,
  hasDependencies = false,
): Promise<Record<string, unknown>> {
  const source = writeFiles(join(directory, 'source'), files);
  if (hasDependencies) await helm.online('dependency', 'build', join(source, 'web'), '--skip-refresh');
  const told = helm('package', join(source, 'web'), '--destination', directory);
  return contents(/saved it to: (.*)$/m.exec(told)?.[1] ?? '');
}

/** What is refused by one is to be refused by the other. */
const orRefused = (made: Promise<unknown>): Promise<unknown> => made.catch(() => 'refused');
const below = (prefix: string, files: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(files).map(([path, content]) => [`${prefix}/${path}`, content]));

describe('packages as helm does', () => {
  const metadata = `apiVersion: v2
name: web
version: 1.2.3
appVersion: 1.10
type: application
kubeVersion: ">=1.20.0-0"
description: >-
  A chart with a description that is long enough to be folded by whoever writes it, on more than one line of text
home: https://example.org
icon: https://example.org/icon.png
sources: [https://example.org/source]
keywords: [a, "yes", "1.0"]
deprecated: false
annotations:
  number: "1"
  text: |
    two
    lines
maintainers:
- name: someone
  email: a@example.org
unknown: dropped
`;
  const schema = '{"type": "object"}\n';

  it.each<[string, Record<string, string | Buffer>]>([
    [
      'a chart with everything in it',
      below('web', {
        ...chartFiles('web', '1.2.3'),
        'Chart.yaml': metadata,
        'values.schema.json': schema,
        'crds/a.yaml': 'kind: A\n',
        'files/b.txt': 'b',
        'templates/_helpers.tpl': '{{/* */}}\n',
        'templates/NOTES.txt': 'hi\n',
        'templates/tests/t.yaml': 'kind: Pod\n',
        LICENSE: 'l\n',
        'README.md': 'r\n',
      }),
    ],
    [
      'a chart of the first API version',
      below('web', {
        'Chart.yaml': 'name: web\nversion: 0.1.0\napiVersion: v1\n',
        'values.yaml': 'a: 1\n',
        'templates/a.yaml': 'kind: A\n',
      }),
    ],
    [
      'bytes that are no text',
      {
        ...below('web', chartFiles('web', '1.0.0')),
        'web/files/x.bin': Buffer.from([0, 255, 254, 10, 13]),
        'web/files/bom.txt': Buffer.from([0xef, 0xbb, 0xbf, 65]),
      },
    ],
    [
      'hidden files among the templates',
      below('web', chartFiles('web', '1.0.0', { 'templates/.hidden': 'x', '.dot': 'y', 'templates/sub/.kept': 'z' })),
    ],
    [
      'subcharts in directories and packages',
      {
        ...below('web', chartFiles('web', '1.0.0')),
        ...below('web/charts/renamed', chartFiles('sub', '0.2.0')),
        ...below('web/charts/renamed/charts/deep', chartFiles('deep', '0.3.0')),

        'web/charts/_off/Chart.yaml': 'no',
        'web/charts/.off/Chart.yaml': 'no',
      },
    ],
  ])('%s', async (_title, files) => {
    expect(await ours(files)).toEqual(await theirs(files));
  });

  it('a subchart that is a package already', async () => {
    const packed = writeFiles(join(directory, 'packed'), chartFiles('sub', '0.4.0'));
    helm('package', packed, '--destination', directory);
    const files = {
      ...below('web', chartFiles('web', '1.0.0')),
      'web/charts/sub-0.4.0.tgz': readFileSync(join(directory, 'sub-0.4.0.tgz')),
    };
    expect(await ours(files)).toEqual(await theirs(files));
  });

  it.each([
    ['*.md', ['README.md', 'docs/x.md']],
    ['docs/', ['docs/x.md', 'other/docs/y.txt', 'docs.txt']],
    ['/docs', ['docs/x.md', 'other/docs/y.txt']],
    ['docs/*.txt', ['docs/a.txt', 'docs/b.md', 'other/docs/c.txt']],
    ['!*.yaml', ['docs/x.md', 'keep.yaml']],
    ['[ab].txt\n# comment\n\n ?.log ', ['a.txt', 'b.txt', 'c.txt', 'x.log', 'xy.log']],
    ['templates/secret.yaml', ['templates/secret.yaml', 'templates/other.yaml']],
    [String.raw`\*.txt`, ['*.txt', 'a.txt']],
    ['values.yaml', ['a.txt']],
  ])('a .helmignore with %j', async (rules, paths) => {
    const files = below('web', {
      ...chartFiles('web', '1.0.0'),
      '.helmignore': `${rules}\n`,
      ...Object.fromEntries(paths.map((path) => [path, path])),
    });
    expect(await orRefused(ours(files))).toEqual(await orRefused(theirs(files)));
  });
});

describe('builds dependencies as helm does', () => {
  it('from a repository by Chart.lock, and from a directory', async () => {
    for (const version of ['1.0.0', '1.1.0']) server.add(chartFiles('database', version));
    await helm.online('repo', 'add', 'charts', server.url);
    const chart = (): Record<string, string> => ({
      ...below('web', chartFiles('web', '1.0.0')),
      ...below('lib', chartFiles('lib', '0.1.0')),
      'web/Chart.yaml': `apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies:\n- name: database\n  version: ~1.0\n  repository: ${server.url}\n  condition: database.enabled\n  tags: [back]\n- name: lib\n  version: 0.x\n  repository: file://../lib\n  alias: other\n  import-values: [data]\n`,
    });
    const made = writeFiles(join(directory, 'made'), chart());
    await helm.online('dependency', 'update', join(made, 'web'), '--skip-refresh');
    const files = { ...chart(), 'web/Chart.lock': readFileSync(join(made, 'web/Chart.lock'), 'utf8') };
    expect(await ours(files)).toEqual(await theirs(files, true));
  });
});

describe('resolves versions as helm does', () => {
  const versions = [
    '0.9.0',
    '1.0.0',
    '1.0.1',
    '1.1.0',
    '1.2.0-alpha.1',
    '1.2.0-beta',
    '2.0.0-rc.1',
    '2.0.0',
    '2.1.0-dev',
    '10.0.0',
    '11.0.0-0',
  ];
  let repository: TestChartRepository;
  beforeAll(async () => {
    repository = await startChartRepository();
    for (const version of versions) repository.add(chartFiles('web', version));
  }, 120_000);
  afterAll(() => repository.close());

  it.each([
    '*',
    '1',
    '1.x',
    '1.0',
    '~1.0.0',
    '~1',
    '^1.0.0',
    '^0.9',
    '1.0.0',
    '1.2.0-beta',
    '=1.0.1',
    '!=10.0.0',
    '>1',
    '>1.0',
    '>=1 <2',
    '>=1.0.0-0 <2',
    '>=1.0.0-0, <2.0.0-0',
    '<2.0.0-0',
    '<=2',
    '<=2.0',
    '<2',
    '>=2.0.0-0 <3',
    '1.0.0 - 1.1.0',
    '^1 || ^10',
    '~2.0.0-0',
    '^2.0.0-rc.0',
    '>10.0.0',
    '>10.0.0-0',
    '>=11.0.0-0',
    '99.x',
    '=>1.0, <1.1',
    'v1.0.0',
    '1.0.*',
  ])('%s', async (range) => {
    const target = mkdtempSync(join(directory, 'pulled-'));
    let expected: string | undefined;
    try {
      await helm.online('pull', 'web', '--repo', repository.url, '--version', range, '--destination', target);
      expected = /^web-(.*)\.tgz$/.exec(readdirSync(target)[0] ?? '')?.[1];
    } catch {
      expected = undefined;
    }
    fixture.put('HelmRepository', 'charts', { url: repository.url });
    await fixture.reconcile('HelmRepository', 'charts');
    fixture.put('HelmChart', 'web', {
      chart: 'web',
      version: range,
      sourceRef: { kind: 'HelmRepository', name: 'charts' },
    });
    const found = await fixture.fetch('HelmChart', 'web').then(
      ({ revision }) => revision,
      () => undefined,
    );
    expect(found).toBe(expected);
  });
});
