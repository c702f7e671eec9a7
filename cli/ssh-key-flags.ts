// The flags for the keys of a Secret for Git over SSH, as in flux, and the keys that they stand for.
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { SshIdentity } from './create-secret-objects.ts';
import { readFlagFile } from './flag-file.ts';

export interface KeyFlags {
  sshKeyAlgorithm: 'ecdsa' | 'ed25519' | 'rsa';
  sshEcdsaCurve: 'p256' | 'p384' | 'p521';
  sshRsaBits: number;
  privateKeyFile?: string;
  /** Passphrase of that file. */
  password?: string;
}

/** Adds `--private-key-file` and the flags `--ssh-…` of a new key. */
export function addKeyFlags(command: Command): void {
  command
    .option('--private-key-file <path>', 'private key for SSH, instead of a new one; --password is its passphrase')
    .addOption(
      new Option('--ssh-key-algorithm <name>', 'kind of the new key')
        .choices(['ecdsa', 'ed25519', 'rsa'])
        .default('ecdsa'),
    )
    .addOption(
      new Option('--ssh-ecdsa-curve <name>', 'curve of a new ECDSA key')
        .choices(['p256', 'p384', 'p521'])
        .default('p384'),
    )
    .option('--ssh-rsa-bits <number>', 'length of a new RSA key', parseRsaBits, 2048);
}

/** A pair of keys that is made here or read from the file, and the keys that the host of the address shows. */
export async function collectSshKeys(url: URL, flags: KeyFlags): Promise<SshIdentity> {
  const { generateSshKeyPair, readSshKeyPair, scanHostKeys } = await import('./create-secret-ssh.ts');
  const file = await readFlagFile('--private-key-file', flags.privateKeyFile);
  const pair = file === undefined ? generateSshKeyPair(flags) : readSshKeyPair(file, flags.password);
  return {
    identity: pair.privateKey,
    identityPub: pair.publicKey,
    knownHosts: await scanHostKeys(url),
    ...(file !== undefined && flags.password !== undefined && { password: flags.password }),
  };
}

function parseRsaBits(text: string): number {
  const bits = Number(text);
  if (Number.isInteger(bits) && bits >= 1024 && bits <= 16_384 && bits % 8 === 0) return bits;
  throw new InvalidArgumentError(`expected a multiple of 8 from 1024 to 16384, got "${text}"`);
}
