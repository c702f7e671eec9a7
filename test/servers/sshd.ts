// OpenSSH's own server with git-shell as the login shell of the user `git`. It runs without privileges and without a
// change to the machine: its user database is a file of its own (nss_wrapper).
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { unpackedDebianPackages } from './debian-package.ts';
import { freePort } from './free-port.ts';

export interface TestSshd {
  port: number;
  /** `ssh://git@127.0.0.1:<port><root>`; a repository is below it. */
  url: string;
  /** Folder of the bare repositories. */
  root: string;
  /** Lines of known_hosts for all host keys, under another port if need be. */
  knownHosts(port?: number): string;
  /** Takes these public keys from now on, and no others. */
  authorize(...publicKeys: string[]): void;
  /** How often somebody has logged in. */
  loginCount(): number;
  close(): Promise<void>;
}

export interface TestSshdOptions {
  /** Does not take GIT_PROTOCOL from clients, and so never speaks protocol 2. */
  isFirstVersionOnly?: boolean;
  /** @default ['ed25519', 'ecdsa', 'rsa'] */
  hostKeyTypes?: string[];
}

export interface KeyPair {
  /** As ssh-keygen writes it. */
  privateKey: string;
  /** A line for authorized_keys or, after a host name, for known_hosts. */
  publicKey: string;
}

/** Makes a key with ssh-keygen; further arguments are its own. */
export function generateSshKey(type = 'ed25519', ...args: string[]): KeyPair {
  const directory = mkdtempSync(join(tmpdir(), 'continuo-key-'));
  try {
    const file = join(directory, 'key');
    execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', 'test', ...args, '-f', file]);
    return { privateKey: readFileSync(file, 'utf8'), publicKey: readFileSync(`${file}.pub`, 'utf8').trim() };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The same lines with hashed host names. */
export function hashKnownHosts(lines: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'continuo-key-'));
  try {
    const file = join(directory, 'known_hosts');
    writeFileSync(file, lines);
    execFileSync('ssh-keygen', ['-H', '-f', file], { stdio: 'pipe' });
    return readFileSync(file, 'utf8');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** An account without privileges: sshd run as root would demand an account `sshd` and a folder below /run. */
const nobody = 65_534;

export async function startSshd(options: TestSshdOptions = {}): Promise<TestSshd> {
  const directory = mkdtempSync(join(tmpdir(), 'continuo-sshd-'));
  chmodSync(directory, 0o755);
  const account =
    process.getuid?.() === 0
      ? { uid: nobody, gid: nobody }
      : { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const programs = await findPrograms(directory);
  const root = join(directory, 'repositories');
  mkdirSync(root);
  const hostKeys = (options.hostKeyTypes ?? ['ed25519', 'ecdsa', 'rsa']).map((type) => {
    const file = join(directory, `host-${type}`);
    const pair = generateSshKey(type, ...(type === 'rsa' ? ['-b', '2048'] : []));
    writeFileSync(file, pair.privateKey, { mode: 0o600 });
    execFileSync('chown', [`${account.uid}:${account.gid}`, file]);
    return { file, publicKey: pair.publicKey.split(' ').slice(0, 2).join(' ') };
  });
  const port = await freePort();
  const authorizedKeys = join(directory, 'authorized_keys');
  writeFileSync(authorizedKeys, '');
  const passwd = join(directory, 'passwd');
  writeFileSync(passwd, `git:x:${account.uid}:${account.gid}::${root}:${programs.gitShell}\n`);
  const group = join(directory, 'group');
  writeFileSync(group, `git:x:${account.gid}:\n`);
  const config = join(directory, 'sshd_config');
  writeFileSync(
    config,
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      ...hostKeys.map(({ file }) => `HostKey ${file}`),
      `AuthorizedKeysFile ${authorizedKeys}`,
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PidFile none',
      'LogLevel VERBOSE',
      ...(options.isFirstVersionOnly ? [] : ['AcceptEnv GIT_PROTOCOL']),
      // As the HTTP server of the platform: commits by their id, repositories of another account.
      `SetEnv GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=* GIT_CONFIG_KEY_1=uploadpack.allowAnySHA1InWant GIT_CONFIG_VALUE_1=true`,
      '',
    ].join('\n'),
  );
  const child = spawn(programs.sshd, ['-D', '-e', '-f', config], {
    cwd: directory,
    ...(process.getuid?.() === 0 ? account : {}),
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      LD_LIBRARY_PATH: programs.libraries,
      LD_PRELOAD: programs.nssWrapper,
      NSS_WRAPPER_PASSWD: passwd,
      NSS_WRAPPER_GROUP: group,
    },
  });
  let log = '';
  let logins = 0;
  child.stderr.on('data', (chunk: Buffer) => {
    const text = chunk.toString();
    logins += text.split('Accepted publickey').length - 1;
    log = (log + text).slice(-8_000);
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await listening(
    port,
    () => child.exitCode !== null,
    () => log,
  );
  return {
    port,
    url: `ssh://git@127.0.0.1:${port}${root}`,
    root,
    knownHosts: (shown = port) => hostKeys.map(({ publicKey }) => `[127.0.0.1]:${shown} ${publicKey}\n`).join(''),
    authorize: (...publicKeys) => writeFileSync(authorizedKeys, publicKeys.map((key) => `${key}\n`).join('')),
    loginCount: () => logins,
    async close() {
      child.kill();
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** sshd, its libraries and nss_wrapper where the server's account can read them. */
async function findPrograms(directory: string) {
  const packages = await unpackedDebianPackages('openssh', ['openssh-server', 'libwrap0', 'libnss-wrapper']);
  const libraries = join(directory, 'lib');
  mkdirSync(libraries);
  const found: Record<string, string> = {};
  for (const entry of readdirSync(packages, { recursive: true, withFileTypes: true })) {
    const from = join(entry.parentPath, entry.name);
    if (entry.name.includes('.so') && existsSync(from)) {
      copyFileSync(from, join(libraries, entry.name));
      found[entry.name] = join(libraries, entry.name);
    }
  }
  // The server runs its own path again for each connection, and its account may not look into our cache.
  const sshd = join(directory, 'sshd');
  copyFileSync(join(packages, 'usr/sbin/sshd'), sshd);
  chmodSync(sshd, 0o755);
  const gitShell = execFileSync('sh', ['-c', 'command -v git-shell || echo "$(git --exec-path)/git-shell"'], {
    encoding: 'utf8',
  });
  const nssWrapper = found['libnss_wrapper.so'];
  if (!nssWrapper) throw new Error('sshd not started: the package libnss-wrapper holds no libnss_wrapper.so');
  return { sshd, libraries, nssWrapper, gitShell: gitShell.trim() };
}

async function listening(port: number, hasEnded: () => boolean, log: () => string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (hasEnded()) break;
    const isThere = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (isThere) return;
    await sleep(50);
  }
  throw new Error(`sshd not started on port ${port}: ${log()}`);
}
