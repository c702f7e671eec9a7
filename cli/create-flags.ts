// What the `create` commands have in common: flags, and the object that they make.
import { type Command, InvalidArgumentError } from 'commander';
import { type KindDefinition, storedVersionOf } from '../k8s/api/definition.ts';
import { formatDuration, parseDuration } from '../k8s/duration.ts';
import type { KubeObject } from '../k8s/object.ts';
import { usageError } from './exit.ts';
import { addClusterFlags, addTemporalFlags, addTimeoutFlag, type ClusterFlags, type TemporalFlags } from './flags.ts';
import { kindOf } from './kinds.ts';

export interface CreateFlags extends ClusterFlags, TemporalFlags {
  interval: string;
  label?: string[];
  export?: boolean;
  /** False with `--no-wait-ready`. */
  waitReady: boolean;
  timeout: number;
}

/** The flag of sources that download. */
export interface FetchFlags {
  fetchTimeout?: string;
}

/** Adds `--fetch-timeout`. */
export function addFetchTimeoutFlag(command: Command): void {
  command.option('--fetch-timeout <duration>', 'limit for one listing or download (spec.timeout)', checkDuration);
}

/** Adds `--interval`, `--label`, `--export`, `--no-wait-ready`, `--timeout` and where the cluster is. */
export function addCreateFlags(command: Command): Command {
  command
    .option('--interval <duration>', 'how often it is reconciled', checkDuration, '1m0s')
    .option('--label <key=value>', 'label of the object; several, or separated by commas', collect)
    .option('--export', 'print the object as YAML and create nothing')
    .option('--no-wait-ready', 'do not wait until it is ready');
  return addTimeoutFlag(addTemporalFlags(addClusterFlags(command)));
}

/** The values of a flag that may be given several times, and hold several separated by commas. */
export function collect(text: string, before: string[] = []): string[] {
  const parts = text.split(',').map((part) => part.trim());
  return [...before, ...parts.filter((part) => part !== '')];
}

/** A duration as it is written, once it is known to be one. */
export function checkDuration(text: string): string {
  try {
    const durationMs = parseDuration(text);
    if (durationMs > 0) return formatDuration(durationMs);
  } catch {
    // told below
  }
  throw new InvalidArgumentError(`expected a duration such as "90s" or "1h30m", got "${text}"`);
}

/** `key=value` each. Throws a usage error for anything else. */
export function parseLabels(labels: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    labels.map((label) => {
      const [key, value, ...rest] = label.split('=');
      if (!key || value === undefined || rest.length > 0) {
        throw usageError(`--label "${label}": expected "<key>=<value>"`);
      }
      return [key, value];
    }),
  );
}

/** `name[.namespace]`: what follows the last point is the namespace, as a namespace has none. */
export function parseDotted(text: string, flag: string, whole: string): { name: string; namespace?: string } {
  const dot = text.lastIndexOf('.');
  const [name, namespace] = dot < 0 ? [text, undefined] : [text.slice(0, dot), text.slice(dot + 1)];
  if (!name || namespace === '') throw usageError(`${flag} "${whole}": expected "<name>" or "<name>.<namespace>"`);
  return namespace === undefined ? { name } : { name, namespace };
}

/** `name`, `namespace/name` or `kind/namespace/name`, of a dependency; the object's own kind is left out. */
export function parseDependency(text: string, ownKind: string): { kind?: string; name: string; namespace?: string } {
  const parts = text.split('/');
  if (parts.some((part) => part === '') || parts.length > 3) {
    throw usageError(`--depends-on "${text}": expected "<name>", "<namespace>/<name>" or "<kind>/<namespace>/<name>"`);
  }
  const [name = '', namespace, word] = parts.reverse();
  if (word === undefined) return { name, ...(namespace && { namespace }) };
  const kind = kindOf(word)?.kind;
  if (!kind) throw usageError(`--depends-on "${text}": expected a Flux kind, got "${word}"`);
  return { ...(kind !== ownKind && { kind }), name, namespace };
}

/** An object of a kind of ours, in the version that is stored. */
export function objectOf(
  definition: KindDefinition,
  name: string,
  flags: Pick<CreateFlags, 'namespace' | 'label'>,
  spec: object,
): KubeObject {
  const labels = parseLabels(flags.label);
  return {
    apiVersion: `${definition.group}/${storedVersionOf(definition)}`,
    kind: definition.kind,
    metadata: { name, namespace: flags.namespace, ...(Object.keys(labels).length > 0 && { labels }) },
    spec,
  };
}
