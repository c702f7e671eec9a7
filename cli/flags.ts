// The flags that several verbs share, spelled as kubectl and flux spell them.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../k8s/duration.ts';
import { exitCodesHelp } from './exit.ts';

/** Which cluster, and where in it. */
export interface ClusterFlags {
  namespace: string;
  allNamespaces?: boolean;
  kubeconfig?: string;
  context?: string;
}

/** Which Temporal server. */
export interface TemporalFlags {
  temporalAddress?: string;
  temporalNamespace?: string;
}

export type OutputFormat = 'wide' | 'json' | 'yaml' | 'name';

/** The namespace of Flux installations, and so of whoever does not say another. */
export const defaultNamespace = 'flux-system';

/** `exitCodes` is for a verb whose exit codes are not those of the others. */
export function addClusterFlags(command: Command, exitCodes: string = exitCodesHelp): Command {
  return command
    .option('-n, --namespace <name>', 'namespace of the objects', defaultNamespace)
    .option('--kubeconfig <path>', 'kubeconfig; else KUBECONFIG, else the local platform, else ~/.kube/config')
    .option('--context <name>', 'context of the kubeconfig')
    .addHelpText('after', exitCodes);
}

export function addAllNamespacesFlag(command: Command): Command {
  return command.option('-A, --all-namespaces', 'objects of all namespaces');
}

export function addTemporalFlags(command: Command): Command {
  return command
    .option('--temporal-address <host:port>', 'Temporal server; else TEMPORAL_ADDRESS, else the local platform')
    .option('--temporal-namespace <name>', 'Temporal namespace; else TEMPORAL_NAMESPACE, else "default"');
}

export function addOutputFlag(command: Command, formats: readonly OutputFormat[]): Command {
  return command.addOption(new Option('-o, --output <format>', 'how to print').choices(formats));
}

/** `--timeout`, as milliseconds in the option `timeout`. */
export function addTimeoutFlag(command: Command): Command {
  return command.option('--timeout <duration>', 'how long to wait, such as 90s or 5m', parseTimeout, 5 * 60_000);
}

/** Milliseconds of a duration given on the command line. */
export function parseTimeout(text: string): number {
  try {
    const timeoutMs = parseDuration(text);
    if (timeoutMs > 0) return timeoutMs;
  } catch {
    // told below
  }
  throw new InvalidArgumentError(`expected a duration such as "90s" or "5m", got "${text}"`);
}

/** A positive whole number given on the command line. */
export function parseCount(text: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count > 0) return count;
  throw new InvalidArgumentError(`expected a whole number above 0, got "${text}"`);
}
