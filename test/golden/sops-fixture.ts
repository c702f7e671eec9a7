// What the golden tests of decryption share: the real sops to encrypt and to compare with, keys, and builds by our engine.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import { encodeBech32, parseAgeIdentities } from '../../activities/build/decryption/age-key.ts';
import { parsePgpKeys } from '../../activities/build/decryption/pgp-key.ts';
import type { SopsFormat } from '../../activities/build/decryption/sops-metadata.ts';

/** A key pair of the tests, and how it is handed to sops and put into a Secret. */
export interface TestKey {
  /** What a message calls it. */
  name: string;
  /** Arguments of `sops encrypt`. */
  recipient: string[];
  /** For sops itself, to encrypt and to decrypt. */
  environment: Record<string, string>;
  /** Entries of a decryption Secret. */
  entries: Record<string, string>;
}

/** The sops binary: CONTINUO_SOPS, or the one of the platform that the tests run with. */
export function findSops(): string {
  return process.env.CONTINUO_SOPS ?? join(inject('binDir'), 'sops');
}

/** Runs the real sops; gives what it prints. Its keys come by the environment alone. */
export function sops(args: string[], input: string, environment: Record<string, string>): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const env = { HOME: '/nonexistent', SOPS_CONFIG: '/dev/null', SOPS_GPG_EXEC: '/nonexistent/gpg', ...environment };
    const child = execFile(findSops(), args, { env, encoding: 'buffer' }, (error, stdout, stderr) => {
      if (error) reject(new Error(`sops ${args[0]}: ${stderr.toString()}`));
      else resolve(stdout);
    });
    child.stdin?.end(input);
  });
}

/** Encrypts a text to one or more keys. */
export async function encrypt(text: string, type: SopsFormat, keys: TestKey[], more: string[] = []): Promise<string> {
  const types = ['--input-type', type, '--output-type', type, '--filename-override', `file.${type}`];
  const environment = Object.assign({}, ...keys.map((key) => key.environment)) as Record<string, string>;
  const output = await sops(['encrypt', ...types, ...keys.flatMap((key) => key.recipient), ...more], text, environment);
  return output.toString('utf8');
}

/** What `sops decrypt` gives. */
export function decrypt(text: string, type: SopsFormat, key: TestKey): Promise<Buffer> {
  return sops(['decrypt', '--input-type', type, '--output-type', type], text, key.environment);
}

/** A new age key. */
export function ageKey(): TestKey {
  const secret = encodeBech32('age-secret-key-', randomBytes(32)).toUpperCase();
  const { recipient = '' } = parseAgeIdentities(secret)[0] ?? {};
  return {
    name: recipient,
    recipient: ['--age', recipient],
    environment: { SOPS_AGE_KEY: secret },
    entries: { 'test.agekey': `# a comment\n${secret}\n` },
  };
}

/** One of the keys in `test/fixtures/pgp`; `home` keeps its keyring. */
export function pgpKey(file: string, home: string): TestKey {
  const armored = readFileSync(new URL(`../fixtures/pgp/${file}.asc`, import.meta.url));
  const { ring, fingerprints } = parsePgpKeys(armored);
  const directory = join(home, file);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const name of ['pubring.gpg', 'secring.gpg']) writeFileSync(join(directory, name), ring, { mode: 0o600 });
  return {
    name: `PGP ${fingerprints[0]}`,
    recipient: ['--pgp', fingerprints[0] ?? ''],
    environment: { GNUPGHOME: directory },
    entries: { 'test.asc': armored.toString() },
  };
}

/** A key of a server that answers as the transit engine of HashiCorp Vault does, and only who knows the token. */
export async function vaultKey(token: string): Promise<TestKey & { close(): Promise<void> }> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const [, action] = /^\/v1\/sops\/(encrypt|decrypt)\/one$/.exec(request.url ?? '') ?? [];
      response.setHeader('content-type', 'application/json');
      if (request.headers['x-vault-token'] !== token) {
        response.writeHead(403).end(JSON.stringify({ errors: [`permission denied for ${token.slice(0, 4)}`] }));
        return;
      }
      if (!action) {
        response.writeHead(404).end(JSON.stringify({ errors: [] }));
        return;
      }
      const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Record<string, string>;
      const reversed = (text: string): string => [...text].reverse().join('');
      const data =
        action === 'encrypt'
          ? { ciphertext: `vault:v1:${reversed(body['plaintext'] ?? '')}` }
          : { plaintext: reversed((body['ciphertext'] ?? '').slice('vault:v1:'.length)) };
      response.end(JSON.stringify({ data }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    name: `${address}/sops/one`,
    recipient: ['--hc-vault-transit', `${address}/v1/sops/keys/one`],
    environment: { VAULT_TOKEN: token },
    entries: { 'sops.vault-token': `${token}\n` },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** A directory for keyrings, and its removal. */
export function keyringHome(): { home: string; remove(): void } {
  const home = mkdtempSync(join(tmpdir(), 'continuo-keyrings-'));
  return { home, remove: () => rmSync(home, { recursive: true, force: true }) };
}
