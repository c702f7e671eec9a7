// What the artifact commands have in common: the address, how to log in, and how long it may take.
import { type Command, Option } from 'commander';
import { type OciAddress, parseOciAddress } from '../activities/source/oci/oci-address.ts';
import { createRegistryClient, type RegistryClient } from '../activities/source/oci/registry-client.ts';
import { dockerLogin, parseCredentials } from './docker-login.ts';
import { CommandError, exitCodes, exitCodesHelp, usageError } from './exit.ts';
import { addTimeoutFlag } from './flags.ts';
import { onInterrupt } from './watch-objects.ts';

export interface RegistryFlags {
  creds?: string;
  insecureRegistry?: boolean;
  provider: string;
  timeout: number;
}

/** Adds `--creds`, `--insecure-registry`, `--provider` and `--timeout`. */
export function addRegistryFlags(command: Command): Command {
  command
    .option('--creds <username:password>', 'how to log in; else as "docker login" has it')
    .option('--insecure-registry', 'take any certificate, and speak HTTP where the registry has no TLS')
    .addOption(new Option('--provider <name>', 'who gives the login').choices(['generic']).default('generic'));
  return addTimeoutFlag(command).addHelpText('after', exitCodesHelp);
}

export interface OpenRegistry {
  address: OciAddress;
  client: RegistryClient;
  /** Aborted by Ctrl-C and at the time-out. */
  signal: AbortSignal;
}

/** Opens the registry of an address, does the work, and says it when the time is over. */
export async function withRegistry<T>(
  url: string,
  flags: RegistryFlags,
  work: (registry: OpenRegistry) => Promise<T>,
): Promise<T> {
  const address = parseAddress(url);
  const credentials = flags.creds ? parseCredentials(flags.creds) : await dockerLogin(address);
  const client = createRegistryClient({
    host: address.host,
    isInsecure: flags.insecureRegistry ?? false,
    credentials,
    loginAdvice: 'it needs credentials: run "docker login", or give --creds',
  });
  const timeout = AbortSignal.timeout(flags.timeout);
  try {
    return await work({ address, client, signal: AbortSignal.any([timeout, onInterrupt().signal]) });
  } catch (error) {
    if (!timeout.aborted) throw error;
    throw new CommandError(`"${url}" took longer than ${flags.timeout / 1000} s (--timeout)`, exitCodes.timedOut);
  }
}

function parseAddress(url: string): OciAddress {
  try {
    return parseOciAddress(url);
  } catch (error) {
    throw usageError(`artifact address: ${(error as Error).message}`);
  }
}

/** `<host>/<repository>:<tag>` or `@<digest>`, as it is printed. */
export function nameOf({ host, repository }: OciAddress, reference: { tag?: string; digest?: string }): string {
  const { tag, digest } = reference;
  return `${host}/${repository}${digest === undefined ? `:${tag}` : `@${digest}`}`;
}

/** The tag or digest of an address; `latest` without one. */
export function referenceOf({ tag, digest }: OciAddress): string {
  return digest ?? tag ?? 'latest';
}
