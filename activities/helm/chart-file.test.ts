import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { packArchive } from '../artifact/pack-archive.ts';
import { readTar } from '../artifact/tar-reader.ts';
import { type ChartSource, createChartFiles, mutationOf } from './chart-file.ts';
import { enabledCrds, readChartArchive, readChartEntries } from './chart-file-archive.ts';
import { chartCrdsOf } from './crds.ts';

const root = mkdtempSync(join(tmpdir(), 'continuo-chart-file-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function pack(files: Record<string, string | Buffer>): Promise<Buffer> {
  const entries = Object.entries(files).map(([path, text]) => ({
    path,
    isExecutable: false,
    content: async () => Buffer.from(text as string),
  }));
  const chunks: Uint8Array[] = [];
  for await (const chunk of packArchive(entries)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const crd = (name: string): string =>
  `apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: ${name}\n`;

const parent = {
  'web/Chart.yaml': `apiVersion: v2
name: web
version: 1.2.3
appVersion: "7"
dependencies:
- name: redis
  alias: cache
  condition: cache.enabled,global.cache
- name: tools
  tags: [extra]
`,
  'web/values.yaml': 'cache:\n  enabled: false\ntags:\n  extra: true\n',
  'web/crds/a.yaml': `${crd('a')}---\n${crd('b')}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n`,
  'web/crds/notes.txt': 'no manifest',
  'web/templates/a.yaml': 'kind: A\n',
  'web/charts/redis/Chart.yaml': 'name: redis\nversion: "1"\n',
  'web/charts/redis/crds/r.yml': crd('redis'),
};

async function chart(): Promise<Buffer> {
  const tools = await pack({
    'tools/Chart.yaml': 'name: tools\nversion: 1.0.0\n',
    'tools/crds/t.json': JSON.stringify({
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'tools' },
    }),
  });
  return await pack({ ...parent, 'web/charts/tools-1.0.0.tgz': tools });
}

test('a chart is known with its subcharts, packed or not', async () => {
  const archive = await readChartArchive(await chart(), readTar);
  expect(archive).toMatchObject({ name: 'web', version: '1.2.3', appVersion: '7' });
  expect(archive.subcharts.map(({ name }) => name)).toEqual(['redis', 'tools']);
});

test.each<[object, string[]]>([
  [{}, ['a', 'b', 'tools']],
  [{ cache: { enabled: true } }, ['a', 'b', 'redis', 'tools']],
  [{ tags: { extra: false } }, ['a', 'b']],
  [{ cache: { enabled: 'yes' }, global: { cache: true } }, ['a', 'b', 'redis', 'tools']],
])('the values %o choose which CRDs are applied', async (values, expected) => {
  const archive = await readChartArchive(await chart(), readTar);
  const found = chartCrdsOf({ archive }, values as Record<string, unknown>);
  expect(found.crds.map(({ metadata }) => metadata.name)).toEqual(expected);
  expect(found.ignored).toEqual(['ConfigMap/c']);
  expect(enabledCrds(archive, {})).toHaveLength(2);
});

test.each<[Record<string, string>, string]>([
  [{ 'web/values.yaml': '' }, 'has no Chart.yaml'],
  [{ 'web/Chart.yaml': 'name: web\n' }, 'Chart.yaml has no version'],
  [{ 'Chart.yaml': 'name: web\nversion: 1.0.0\n' }, 'outside of the directory of the chart'],
  [{ 'web/Chart.yaml': 'a: [\n' }, 'Chart.yaml is no valid YAML'],
])('what is no chart is told: %o', async (files, message) => {
  await expect(pack(files).then((packed) => readChartArchive(packed, readTar))).rejects.toThrow(message);
});

test('a chart full of packed bombs is told before they are all unpacked', async () => {
  const zeros = '0'.repeat(30 * 1024 * 1024);
  const bomb = await pack({ 'bomb/Chart.yaml': 'name: bomb\nversion: 1.0.0\n', 'bomb/zeros': zeros });
  const bombs = Object.fromEntries([1, 2, 3, 4, 5].map((at) => [`web/charts/bomb-${at}.tgz`, bomb]));
  await expect(pack({ ...parent, ...bombs }).then((packed) => readChartArchive(packed, readTar))).rejects.toThrow(
    'the chart has more than 104857600 bytes unpacked',
  );
});

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

test.each<[string, string, string, object | undefined]>([
  ['HelmChart', '1.2.3', '1.2.3', undefined],
  ['OCIRepository', `1.2.3@${digest}`, '1.2.3', { version: '1.2.3+0123456789ab', ociDigest: digest }],
  ['OCIRepository', `v1.2.3@${digest}`, '1.2.3', { version: '1.2.3+0123456789ab', ociDigest: digest }],
  ['OCIRepository', `1.2.3_build@${digest}`, '1.2.3+build', { version: '1.2.3+0123456789ab', ociDigest: digest }],
  ['OCIRepository', digest, '1.2.3-rc.1', { version: '1.2.3-rc.1+0123456789ab', ociDigest: digest }],
  ['OCIRepository', `latest@${digest}`, '1.2.3', { version: '1.2.3+0123456789ab', ociDigest: `latest@${digest}` }],
  ['ExternalArtifact', '1.2.3', '1.2.3', undefined],
  ['ExternalArtifact', digest, '1.2.3', { version: '1.2.3+0123456789ab', ociDigest: digest }],
])('%s at %s with version %s', (kind, revision, version, expected) => {
  expect(mutationOf({ kind, artifact: { digest, url: '', revision } }, version)).toEqual(expected);
});

test.each<[string, string]>([
  [`2.0.0@${digest}`, 'artifact revision "2.0.0" does not match chart version "1.2.3"'],
  ['sha256:0123', 'is not of the form'],
])('a revision that does not fit is a ChartMutateError: %s', (revision, message) => {
  const act = (): unknown => mutationOf({ kind: 'OCIRepository', artifact: { digest, url: '', revision } }, '1.2.3');
  expect(act).toThrow(message);
  expect(act).toThrow(expect.objectContaining({ type: 'ChartMutateError' }));
});

test('a chart is downloaded once, and its version is in the file that helm gets', async () => {
  const packed = await chart();
  let downloads = 0;
  const files = createChartFiles({
    readTar,
    packArchive,
    directory: join(root, 'charts'),
    async download(_artifact, target) {
      downloads += 1;
      writeFileSync(target, packed);
    },
  });
  const signal = new AbortController().signal;
  const source: ChartSource = {
    kind: 'OCIRepository',
    artifact: { digest, url: 'http://x', revision: `1.2.3@${digest}` },
  };
  const [one, two] = await Promise.all([files.load(source, signal), files.load(source, signal)]);
  expect(two).toBe(one);
  expect(one).toMatchObject({ name: 'web', version: '1.2.3+0123456789ab', ociDigest: digest });
  const entries = await readChartEntries(readFileSync(one.path), readTar);
  const text = entries.find(({ path }) => path === 'Chart.yaml')?.content.toString('utf8');
  expect(text).toContain('version: "1.2.3+0123456789ab"');
  expect(entries).toHaveLength(Object.keys(parent).length + 1);
  expect(await files.load({ ...source, kind: 'HelmChart' }, signal)).toMatchObject({ version: '1.2.3' });
  expect(downloads).toBe(1);
  rmSync(join(root, 'charts'), { recursive: true });
  await files.load(source, signal);
  expect(downloads, 'the cache may go').toBe(2);
  expect(readdirSync(join(root, 'charts')).every((name) => name.endsWith('.tgz'))).toBe(true);
});

test('a failed download is tried again by the next one that asks', async () => {
  const packed = await chart();
  let isBroken = true;
  const files = createChartFiles({
    readTar,
    packArchive,
    directory: join(root, 'again'),
    async download(_artifact, target) {
      if (isBroken) throw new Error('no answer');
      writeFileSync(target, packed);
    },
  });
  const source = { kind: 'HelmChart', artifact: { digest, url: 'http://x', revision: '1.2.3' } };
  const signal = new AbortController().signal;
  await expect(files.load(source, signal)).rejects.toThrow('no answer');
  isBroken = false;
  expect(await files.load(source, signal)).toMatchObject({ name: 'web' });
});

test('a chart over the limit is refused with the option that raises it', async () => {
  const packed = await chart();
  const files = createChartFiles({
    readTar,
    packArchive,
    directory: join(root, 'large'),
    maxBytes: 0.5,
    async download(_artifact, target) {
      writeFileSync(target, packed);
    },
  });
  const source = { kind: 'HelmChart', artifact: { digest, url: 'http://x', revision: '1.2.3' } };
  await expect(files.load(source, new AbortController().signal)).rejects.toThrow(
    /^the chart of artifact "1\.2\.3" has \d+ bytes, larger than the .* MiB allowed \(CONTINUO_HELM_CHART_MAX_MIB\)$/,
  );
});
