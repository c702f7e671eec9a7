// spec.valuesFiles: merged in their order, they take the place of a chart's values.yaml (contract 1.4). Pure.
import { failure, messageOf } from '../../errors.ts';
import type { HelmYaml } from './chart-metadata.ts';
import { defaultHelmLimits, overLimit } from './helm-limits.ts';

type Values = Record<string, unknown>;

export interface MergedValues {
  /** The text of the new values.yaml. */
  text: string;
  /** The files that were there. */
  files: string[];
}

/**
 * Merges values files; `read` gives a file's content, undefined for one that does not exist. Fails with ValuesFilesError
 * when one is missing (unless those are to be ignored), over the limit, or no YAML map.
 */
export async function mergeValuesFiles(
  paths: readonly string[],
  isMissingIgnored: boolean,
  read: (path: string) => Promise<Uint8Array | undefined>,
  yaml: HelmYaml,
  limits = defaultHelmLimits,
): Promise<MergedValues> {
  let values: Values = {};
  const files: string[] = [];
  for (const path of paths) {
    const content = await read(path);
    if (content === undefined) {
      if (isMissingIgnored) continue;
      throw problem(`no values file found at path '${path}'; mend spec.valuesFiles, or set ignoreMissingValuesFiles`);
    }
    if (content.byteLength > limits.chartFileBytes)
      throw problem(`'${path}' is ${overLimit(limits, 'chartFileBytes')}`);
    try {
      values = mergeMaps(values, yaml.read(Buffer.from(content).toString('utf8')));
    } catch (error) {
      throw problem(`'${path}' cannot be read: ${messageOf(error)}`);
    }
    files.push(path);
  }
  return { text: Object.keys(values).length > 0 ? yaml.write(values) : '', files };
}

/** Maps are merged key by key, whatever else there is in `over` takes the place of what is in `base`. */
export function mergeMaps(base: Values, over: Values): Values {
  const merged: Values = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const under = merged[key];
    setOwn(merged, key, isMap(value) && isMap(under) ? mergeMaps(under, value) : value);
  }
  return merged;
}

/** `__proto__` is a key like any other. */
function setOwn(map: Values, key: string, value: unknown): void {
  Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
}

function isMap(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function problem(message: string): ReturnType<typeof failure> {
  return failure('ValuesFilesError', `values files merge error: ${message}`);
}
