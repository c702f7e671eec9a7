// The keys of a Secret for Git over SSH: a pair that is made here or read from a file, and the keys that the host shows.
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import ssh2 from 'ssh2';
import { keyTypeOf, knownHostName } from '../activities/source/git/ssh/known-hosts.ts';
import { parsePrivateKey } from '../activities/source/git/ssh/private-key.ts';
import { CommandError, usageError } from './exit.ts';
import type { KeyFlags } from './ssh-key-flags.ts';

/** PEM, and a line for the list of deploy keys. */
export interface SshKeyPair {
  privateKey: string;
  publicKey: string;
}

const curveNames = { p256: 'P-256', p384: 'P-384', p521: 'P-521' } as const;
const scanTimeoutMs = 15_000;

/** A new pair, without a passphrase. */
export function generateSshKeyPair({ sshKeyAlgorithm, sshEcdsaCurve, sshRsaBits }: KeyFlags): SshKeyPair {
  const { privateKey } =
    sshKeyAlgorithm === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: sshRsaBits })
      : sshKeyAlgorithm === 'ed25519'
        ? generateKeyPairSync('ed25519')
        : generateKeyPairSync('ec', { namedCurve: curveNames[sshEcdsaCurve] });
  return {
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKey: authorizedKeyOf(createPublicKey(privateKey)),
  };
}

/** The pair of a file. Throws a usage error that holds none of the key. */
export function readSshKeyPair(text: string, password: string | undefined): SshKeyPair {
  try {
    const key = parsePrivateKey(text, password);
    return { privateKey: text, publicKey: `${key.type} ${key.getPublicSSH().toString('base64')}\n` };
  } catch (error) {
    const message = error instanceof Error ? error.message : '';
    if (!/passphrase/.test(message)) throw usageError(`--private-key-file cannot be used: ${message}`);
    throw usageError('--private-key-file is encrypted: give its passphrase with --password');
  }
}

/** `ssh-ed25519 AAAA…`, as authorized_keys and Git servers take it. */
export function authorizedKeyOf(key: KeyObject): string {
  const { kty, crv, x = '', y = '', n = '', e = '' } = key.export({ format: 'jwk' });
  const bytes = (value: string): Buffer => Buffer.from(value, 'base64url');
  const line = (type: string, ...fields: Buffer[]): string =>
    `${type} ${Buffer.concat([Buffer.from(type), ...fields].map(field)).toString('base64')}\n`;
  if (kty === 'OKP') return line('ssh-ed25519', bytes(x));
  if (kty === 'RSA') return line('ssh-rsa', integer(bytes(e)), integer(bytes(n)));
  const curve = `nistp${(crv ?? '').slice(2)}`;
  return line(`ecdsa-sha2-${curve}`, Buffer.from(curve), Buffer.concat([Buffer.from([4]), bytes(x), bytes(y)]));
}

/** Length and bytes (RFC 4251). */
function field(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.byteLength);
  return Buffer.concat([length, bytes]);
}

/** A positive number, which a leading bit would make negative. */
function integer(bytes: Buffer): Buffer {
  return (bytes[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes;
}

/** One for each type of key that a host may have. */
const hostKeyAlgorithms = [
  ['ssh-ed25519'],
  ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521'],
  ['rsa-sha2-512', 'rsa-sha2-256'],
];

/**
 * The lines for known_hosts with every key that the host of the address shows, ordered by their type. Whoever answers is
 * believed: the lines are to be compared with what the host's owner publishes. Fails when nobody answers within 15 s.
 */
export async function scanHostKeys(url: URL): Promise<string> {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = url.port === '' ? 22 : Number(url.port);
  const shown = await Promise.allSettled(hostKeyAlgorithms.map((algorithms) => hostKey(host, port, algorithms)));
  const keys = shown.flatMap((result) => (result.status === 'fulfilled' && result.value ? [result.value] : []));
  if (keys.length === 0) {
    const failed = shown.find((result) => result.status === 'rejected');
    const cause: unknown = failed?.reason;
    const message = cause instanceof Error ? cause.message : 'it speaks no SSH';
    throw new CommandError(`host keys of "${host}:${port}" cannot be read: ${message}`);
  }
  const name = knownHostName(host, port);
  return keys
    .map((key) => `${name} ${keyTypeOf(key)} ${key.toString('base64')}`)
    .sort()
    .join('\n');
}

/** The key that the host shows when only these algorithms are offered; undefined when it has none of them. */
async function hostKey(host: string, port: number, algorithms: string[]): Promise<Buffer | undefined> {
  const signal = AbortSignal.timeout(scanTimeoutMs);
  const socket = connect({ host, port, signal });
  await once(socket, 'connect');
  const client = new ssh2.Client();
  let key: Buffer | undefined;
  try {
    const ended = new Promise<void>((resolve) => client.once('close', resolve).on('error', () => resolve()));
    client.connect({
      sock: socket,
      username: 'git',
      authHandler: [],
      algorithms: { serverHostKey: algorithms },
      readyTimeout: scanTimeoutMs,
      hostVerifier(shown) {
        key = Buffer.from(shown);
        return false; // the key is all that was wanted
      },
    });
    await ended;
  } finally {
    client.destroy();
    socket.destroy();
  }
  return key;
}
