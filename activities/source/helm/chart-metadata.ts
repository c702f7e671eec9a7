// The metadata of a chart: Chart.yaml, read and checked as Helm does. Pure.
import { parse, type SemVer } from 'semver';
import { versionOfTag } from '../git/semver-constraint.ts';

/** Reads and writes YAML as Helm does; given by who composes. */
export interface HelmYaml {
  /** The map in a text. Throws an `Error` that says where it is wrong. */
  read(text: string): Record<string, unknown>;
  /** A value with sorted keys. */
  write(value: unknown): string;
}

export interface ChartDependency {
  name: string;
  version: string;
  repository: string;
  alias?: string;
}

/** The fields that are used here; `fields` has all that Helm knows, for writing. */
export interface ChartMetadata {
  name: string;
  version: string;
  apiVersion: string;
  dependencies: ChartDependency[];
  fields: Record<string, unknown>;
}

const texts = ['name', 'home', 'version', 'description', 'icon', 'apiVersion', 'condition', 'tags', 'appVersion'];
const textFields = new Set([...texts, 'kubeVersion', 'type']);
const otherFields = new Set(['sources', 'keywords', 'maintainers', 'annotations', 'dependencies', 'deprecated']);

/** Reads a Chart.yaml. Throws an `Error` when it is no YAML or misses what every chart has. */
export function readChartMetadata(text: string, yaml: HelmYaml): ChartMetadata {
  const given = yaml.read(text);
  const fields: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(given)) {
    if (value === null || value === '' || value === false || (Array.isArray(value) && value.length === 0)) continue;
    if (textFields.has(key)) fields[key] = typeof value === 'object' ? value : String(value);
    else if (otherFields.has(key)) fields[key] = value;
  }
  const apiVersion = textOf(fields['apiVersion']) || 'v1';
  const metadata = { ...nameAndVersion(fields), apiVersion, dependencies: readDependencies(fields['dependencies']) };
  fields['apiVersion'] = apiVersion;
  return { ...metadata, fields };
}

function nameAndVersion(fields: Record<string, unknown>): { name: string; version: string } {
  const name = textOf(fields['name']);
  const version = textOf(fields['version']);
  if (!name) throw new Error('its Chart.yaml has no "name"');
  if (/[/\\]/.test(name) || name === '.' || name === '..') {
    throw new Error(`its Chart.yaml has the name "${name.slice(0, 100)}", which cannot be the name of a file`);
  }
  if (!version) throw new Error('its Chart.yaml has no "version"');
  if (!versionOfTag(version)) {
    throw new Error(`its Chart.yaml has the version "${version.slice(0, 100)}", expected one such as "1.2.3"`);
  }
  return { name, version };
}

/** The dependencies of a Chart.yaml, a Chart.lock or a requirements.yaml. Throws an `Error` for one without a name. */
export function readDependencies(value: unknown): ChartDependency[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new Error('its "dependencies" are no list');
  return value.map((item: unknown) => {
    const given = (typeof item === 'object' && item !== null ? item : {}) as Record<string, unknown>;
    const name = textOf(given['name']);
    if (!name || /[/\\]/.test(name)) throw new Error('a dependency has no valid "name"');
    const alias = textOf(given['alias']);
    return {
      name,
      version: textOf(given['version']),
      repository: textOf(given['repository']),
      ...(alias && { alias }),
    };
  });
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

/**
 * A version with its build metadata replaced. Throws an `Error` when the version is no semantic version, or the metadata
 * is not made of letters, digits, `-` and dots.
 */
export function withBuildMetadata(version: string, metadata: string): string {
  const parsed: SemVer | undefined = versionOfTag(version);
  if (!parsed) throw new Error(`"${version}" is no semantic version`);
  const built = parse(`${parsed.version}+${metadata}`);
  if (!built) throw new Error(`"${metadata}" cannot be the build metadata of a version`);
  return `${parsed.version}+${metadata}`;
}
