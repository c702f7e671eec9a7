// A chart in memory: from its files, and to the files of its package, as `helm package` arranges them.
import type { ArchiveFile } from '../../artifact/artifact.ts';
import { messageOf } from '../../errors.ts';
import { type ChartFiles, checkUnpacked, readChartArchive } from './chart-files.ts';
import {
  type ChartDependency,
  type ChartMetadata,
  type HelmYaml,
  readChartMetadata,
  readDependencies,
} from './chart-metadata.ts';
import { defaultHelmLimits, type HelmLimits } from './helm-limits.ts';

export interface Chart {
  metadata: ChartMetadata;
  /** Everything but Chart.yaml and the charts that it depends on. */
  files: ChartFiles;
  /** The charts in `charts/`. */
  dependencies: Chart[];
  /** Of Chart.lock (requirements.lock). */
  locked?: ChartDependency[];
}

/** Deeper nesting than a sane chart has. */
const maxDepth = 10;

/** What the packages in a chart unpack to, all together: a small one could hold thousands of bombs. */
interface Unpacked {
  sizeBytes: number;
}

/** Puts a chart together. Throws an `Error` that says what is wrong with which chart. */
export async function readChart(
  files: ChartFiles,
  yaml: HelmYaml,
  limits = defaultHelmLimits,
  depth = 0,
  unpacked: Unpacked = { sizeBytes: 0 },
): Promise<Chart> {
  if (depth > maxDepth) throw new Error(`its dependencies are nested more than ${maxDepth} deep`);
  const text = textOf(files, 'Chart.yaml');
  if (text === undefined) throw new Error('it has no Chart.yaml');
  const metadata = readChartMetadata(text, yaml);
  const isFirstVersion = metadata.apiVersion === 'v1';
  if (isFirstVersion) {
    const requirements = textOf(files, 'requirements.yaml');
    if (requirements !== undefined) metadata.dependencies = readDependencies(yaml.read(requirements)['dependencies']);
  }
  const own: ChartFiles = new Map();
  const below = new Map<string, ChartFiles>();
  for (const [path, content] of files) {
    if (path === 'Chart.yaml') continue;
    if (!path.startsWith('charts/') || path.endsWith('.prov')) {
      if (isFirstVersion || !path.startsWith('requirements.')) own.set(path, content);
      continue;
    }
    const [, name = '', ...rest] = path.split('/');
    const part = below.get(name) ?? new Map<string, Uint8Array>();
    below.set(name, part.set(rest.join('/'), content));
  }
  const lock = textOf(files, isFirstVersion ? 'requirements.lock' : 'Chart.lock');
  return {
    metadata,
    files: own,
    dependencies: await readSubcharts(below, yaml, limits, depth + 1, unpacked),
    ...(lock === undefined ? {} : { locked: readDependencies(yaml.read(lock)['dependencies']) }),
  };
}

async function readSubcharts(
  below: Map<string, ChartFiles>,
  yaml: HelmYaml,
  limits: HelmLimits,
  depth: number,
  unpacked: Unpacked,
): Promise<Chart[]> {
  const charts: Chart[] = [];
  for (const [name, files] of below) {
    if (/^[_.]/.test(name)) continue;
    try {
      if (name.endsWith('.tgz')) {
        const inner = await readChartArchive(files.get('') ?? new Uint8Array(), limits);
        for (const content of inner.values()) unpacked.sizeBytes += content.byteLength;
        checkUnpacked(unpacked.sizeBytes);
        charts.push(await readChart(inner, yaml, limits, depth, unpacked));
      } else {
        files.delete(''); // a file beside the charts, which Helm refuses as well
        charts.push(await readChart(files, yaml, limits, depth, unpacked));
      }
    } catch (error) {
      throw new Error(`"charts/${name.slice(0, 100)}": ${messageOf(error)}`, { cause: error });
    }
  }
  return charts;
}

/** Bytes of all files of a chart and of the charts in it. */
export function sizeOfChart({ files, dependencies }: Chart): number {
  let sizeBytes = 0;
  for (const content of files.values()) sizeBytes += content.byteLength;
  return dependencies.reduce((sum, dependency) => sum + sizeOfChart(dependency), sizeBytes);
}

/** The text of one file of a chart. */
export function textOf(files: ChartFiles, path: string): string | undefined {
  const content = files.get(path);
  return content === undefined ? undefined : Buffer.from(content).toString('utf8');
}

/** The files of a chart's package: all below a directory with its name. */
export function packageFiles(chart: Chart, yaml: HelmYaml, directory = chart.metadata.name): ArchiveFile[] {
  const { apiVersion, fields, version } = chart.metadata;
  const written: Record<string, unknown> = { ...fields, version };
  if (apiVersion === 'v1') delete written['dependencies']; // they are in requirements.yaml
  const files: [string, Uint8Array][] = [['Chart.yaml', Buffer.from(yaml.write(written))], ...chart.files];
  const taken = new Set<string>();
  return [
    ...files.map(([path, content]) => ({
      path: `${directory}/${path}`,
      isExecutable: false,
      sizeBytes: content.byteLength,
      content: async () => content,
    })),
    ...chart.dependencies.flatMap((dependency) => {
      const { name, version: its } = dependency.metadata;
      // The same chart in two versions, under two aliases: Helm tells them apart by their directories.
      const own = taken.has(name) ? `${name}-${its}` : name;
      taken.add(own);
      return packageFiles(dependency, yaml, `${directory}/charts/${own}`);
    }),
  ];
}
