// Which files the configuration of a generator, transformer or validator makes kustomize read.
import { isRecord, readYaml } from './read-manifests.ts';

/** Paths named by plugin configurations, and whether every kind in the text is known. */
export interface PluginPaths {
  paths: string[];
  isKnown: boolean;
}

type PathRule = (config: Record<string, unknown>) => unknown[];

const none: PathRule = () => [];
const ownPath: PathRule = (config) => [config.path];
const keyValueSources: PathRule = (config) => [
  ...list(config.files).map((entry) => (typeof entry === 'string' ? entry.slice(entry.indexOf('=') + 1) : entry)),
  ...list(config.envs),
  config.env,
];

/** Every plugin that is compiled into kustomize. */
const builtinPlugins: Record<string, PathRule> = {
  AnnotationsTransformer: none,
  ConfigMapGenerator: keyValueSources,
  HashTransformer: none,
  IAMPolicyGenerator: none,
  ImageTagTransformer: none,
  LabelTransformer: none,
  LegacyOrderTransformer: none,
  NamespaceTransformer: none,
  PatchJson6902Transformer: ownPath,
  // An entry may be inline YAML; a file's name holds no line break.
  PatchStrategicMergeTransformer: (config) =>
    list(config.paths).filter((entry) => typeof entry === 'string' && !entry.includes('\n')),
  PatchTransformer: ownPath,
  PrefixSuffixTransformer: none,
  PrefixTransformer: none,
  ReplacementTransformer: (config) => list(config.replacements).map((entry) => (isRecord(entry) ? entry.path : null)),
  ReplicaCountTransformer: none,
  SecretGenerator: keyValueSources,
  SortOrderTransformer: none,
  SuffixTransformer: none,
  ValueAddTransformer: none,
};

/** The files that the configurations in a text name. Throws ManifestError when the text is no YAML. */
export function pluginPaths(text: string, file: string): PluginPaths {
  const result: PluginPaths = { paths: [], isKnown: true };
  for (const { value } of readYaml(text, file).documents) {
    const rule = isRecord(value) && typeof value.kind === 'string' ? builtinPlugins[value.kind] : undefined;
    if (!rule || !isRecord(value)) {
      result.isKnown = false; // kustomize refuses to run it, as plugins are off
      continue;
    }
    result.paths.push(...rule(value).filter((path): path is string => typeof path === 'string' && path !== ''));
  }
  return result;
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
