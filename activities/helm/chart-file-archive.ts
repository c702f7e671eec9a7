// Reads what is to be known of a packaged chart before helm sees it: its metadata and its CRDs.
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { isMap as isYamlMap, parseDocument } from 'yaml';
import type { TarReaderEntry } from '../artifact/tar-reader.ts';
import { isMap, mergeValues, type Values } from './values-map.ts';
import { readValuesYaml } from './values-yaml.ts';

/** Reads the entries of a tar stream. Throws an `Error` for a broken one. */
export type ReadTar = (source: AsyncIterable<Uint8Array>) => AsyncIterable<TarReaderEntry>;

/** One file of an archive; `path` is below the chart's own directory. */
export interface ChartEntry {
  /** Name of the directory at the root of the archive. */
  root: string;
  path: string;
  content: Buffer;
  isExecutable: boolean;
}

/** A chart with its subcharts. */
export interface ChartArchive {
  name: string;
  version: string;
  appVersion?: string;
  values: Values;
  /** Texts of the files of its `crds` directory, in their order. */
  crds: string[];
  dependencies: ChartDependency[];
  subcharts: ChartArchive[];
}

/** What `Chart.yaml` says of a subchart. */
export interface ChartDependency {
  name: string;
  alias?: string;
  condition?: string;
  tags: string[];
}

/** The limit of helm itself. */
const maxChartBytes = 100 * 1024 * 1024;
const maxFiles = 10_000;
const maxSubchartDepth = 10;

/** What a chart has unpacked to so far, with the packages in it: a small one could hold thousands of bombs. */
interface Unpacked {
  sizeBytes: number;
}

/** The files of a packaged chart. Throws an `Error` that says what is wrong with the archive. */
export async function readChartEntries(
  packed: Uint8Array,
  readTar: ReadTar,
  unpacked: Unpacked = { sizeBytes: 0 },
): Promise<ChartEntry[]> {
  const entries: ChartEntry[] = [];
  const unzipped = Readable.from([packed]).pipe(createGunzip());
  for await (const entry of readTar(unzipped)) {
    if (entry.kind !== 'file') continue;
    const [root = '', ...rest] = entry.path.replace(/^\.\//, '').replaceAll('\\', '/').split('/');
    const path = rest.filter((part) => part !== '' && part !== '.').join('/');
    if (path === '' || rest.includes('..') || root === '..' || root === '') {
      throw new Error('the archive has a file outside of the directory of the chart');
    }
    const chunks: Buffer[] = [];
    for await (const chunk of entry.content()) {
      unpacked.sizeBytes += chunk.length;
      if (unpacked.sizeBytes > maxChartBytes)
        throw new Error(`the chart has more than ${maxChartBytes} bytes unpacked`);
      chunks.push(Buffer.from(chunk));
    }
    entries.push({ root, path, content: Buffer.concat(chunks), isExecutable: entry.isExecutable });
    if (entries.length > maxFiles) throw new Error(`the chart has more than ${maxFiles} files`);
  }
  return entries;
}

/** The chart of a packaged archive. Throws an `Error` that says what is wrong with it. */
export async function readChartArchive(packed: Uint8Array, readTar: ReadTar): Promise<ChartArchive> {
  const unpacked: Unpacked = { sizeBytes: 0 };
  return await chartOf(await readChartEntries(packed, readTar, unpacked), 0, readTar, unpacked);
}

async function chartOf(
  entries: ChartEntry[],
  depth: number,
  readTar: ReadTar,
  unpacked: Unpacked,
): Promise<ChartArchive> {
  if (depth > maxSubchartDepth) throw new Error(`subcharts are nested more than ${maxSubchartDepth} deep`);
  const text = (path: string): string => entries.find((entry) => entry.path === path)?.content.toString('utf8') ?? '';
  const metadata = readMetadata(text('Chart.yaml'));
  const subcharts: ChartArchive[] = [];
  for (const { files, archive } of groupSubcharts(entries)) {
    const inner = archive ? await readChartEntries(archive, readTar, unpacked) : files;
    subcharts.push(await chartOf(inner, depth + 1, readTar, unpacked));
  }
  const own = entries.filter(({ path }) => !path.startsWith('charts/'));
  const isManifest = (path: string): boolean => /^crds\/.*\.(?:ya?ml|json)$/i.test(path);
  return {
    ...metadata,
    values: readValuesYaml(text('values.yaml')),
    crds: own.filter(({ path }) => isManifest(path)).map(({ content }) => content.toString('utf8')),
    subcharts,
  };
}

interface Subchart {
  files: ChartEntry[];
  /** Instead of the files. */
  archive?: Uint8Array;
}

/** The subcharts: directories below `charts`, or archives in it. */
function groupSubcharts(entries: ChartEntry[]): Subchart[] {
  const groups = new Map<string, ChartEntry[]>();
  const archives: Subchart[] = [];
  for (const entry of entries) {
    const [, name = '', rest] = /^charts\/([^/_.][^/]*)(?:\/(.+))?$/.exec(entry.path) ?? [];
    if (rest !== undefined) {
      const group = groups.get(name) ?? [];
      group.push({ ...entry, root: name, path: rest });
      groups.set(name, group);
    } else if (name.endsWith('.tgz')) archives.push({ files: [], archive: entry.content });
  }
  const directories = [...groups.values()].filter((group) => group.some(({ path }) => path === 'Chart.yaml'));
  return [...directories.map((files) => ({ files })), ...archives];
}

function readMetadata(text: string): Pick<ChartArchive, 'name' | 'version' | 'appVersion' | 'dependencies'> {
  if (text === '') throw new Error('the archive has no Chart.yaml in its directory: it is no Helm chart');
  const document = parseDocument(text, { schema: 'failsafe', logLevel: 'silent' });
  if (document.errors[0]) throw new Error(`Chart.yaml is no valid YAML (${document.errors[0].code})`);
  const fields: unknown = document.toJS();
  if (!isMap(fields)) throw new Error('Chart.yaml is no YAML mapping');
  const { name, version, appVersion, dependencies } = fields;
  if (typeof name !== 'string' || name === '') throw new Error('Chart.yaml has no name');
  if (typeof version !== 'string' || version === '') throw new Error('Chart.yaml has no version');
  return {
    name,
    version,
    appVersion: typeof appVersion === 'string' && appVersion !== '' ? appVersion : undefined,
    dependencies: Array.isArray(dependencies) ? dependencies.filter(isMap).map(dependencyOf) : [],
  };
}

function dependencyOf(fields: Values): ChartDependency {
  const { name, alias, condition, tags } = fields;
  return {
    name: String(name ?? ''),
    alias: typeof alias === 'string' ? alias : undefined,
    condition: typeof condition === 'string' ? condition : undefined,
    tags: Array.isArray(tags) ? tags.map(String) : [],
  };
}

/** `Chart.yaml` with another version, and nothing else changed. */
export function withVersion(chartYaml: string, version: string): string {
  const document = parseDocument(chartYaml, { schema: 'failsafe', logLevel: 'silent' });
  if (document.errors[0] || !isYamlMap(document.contents)) throw new Error('Chart.yaml is no valid YAML');
  const node = document.createNode(version);
  node.type = 'QUOTE_DOUBLE';
  document.set('version', node);
  return document.toString({ lineWidth: 0 });
}

/**
 * The texts of the CRD files of a chart and of those of its subcharts that the values do not switch off, as helm decides
 * it: the first condition that is a boolean rules, else one tag that is true, else none that is false.
 */
export function enabledCrds(chart: ChartArchive, values: Values): string[] {
  return crdsOf(chart, mergeValues(chart.values, values), tagsOf(mergeValues(chart.values, values)));
}

function crdsOf(chart: ChartArchive, values: Values, tags: Values): string[] {
  const texts = [...chart.crds];
  for (const subchart of chart.subcharts) {
    const named = chart.dependencies.filter(({ name }) => name === subchart.name);
    const users: ChartDependency[] = named.length > 0 ? named : [{ name: subchart.name, tags: [] }];
    for (const dependency of users) {
      if (!isEnabled(dependency, values, tags)) continue;
      const own = values[dependency.alias ?? dependency.name];
      texts.push(...crdsOf(subchart, mergeValues(subchart.values, isMap(own) ? own : {}), tags));
    }
  }
  return texts;
}

function tagsOf(values: Values): Values {
  return isMap(values.tags) ? values.tags : {};
}

function isEnabled({ condition, tags }: ChartDependency, values: Values, known: Values): boolean {
  for (const path of condition?.split(',') ?? []) {
    const found = valueAt(values, path.trim());
    if (typeof found === 'boolean') return found;
  }
  const set = tags.map((tag) => known[tag]).filter((value) => typeof value === 'boolean');
  return set.length === 0 || set.includes(true);
}

function valueAt(values: Values, path: string): unknown {
  let value: unknown = values;
  for (const name of path.split('.')) value = isMap(value) ? value[name] : undefined;
  return value;
}
