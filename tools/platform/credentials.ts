// The platform's own credentials: a token for each user, the key that signs service account tokens, and kubeconfigs
// made of them. Everything is written with mode 0600; tokens stay the same as long as the data directory lives.
import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { componentKubeconfig, credentialPaths } from './components.ts';

/** The users that get a token. All are in `system:masters`: this is one person's platform on loopback. */
export const users = ['admin', 'controller-manager', 'scheduler', 'kwok', 'worker'] as const;
/** One of `users`. */
export type User = (typeof users)[number];

const renewBeforeMs = 7 * 24 * 3_600_000;

/** Makes what is missing of keys and tokens, and forgets a serving certificate that is about to expire. */
export async function ensureCredentials(dataDir: string): Promise<Record<User, string>> {
  const paths = credentialPaths(dataDir);
  await mkdir(paths.directory, { recursive: true, mode: 0o700 });
  if (!existsSync(paths.saKey)) {
    const pair = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    await writeFile(paths.saPub, pair.publicKey, { mode: 0o600 });
    await writeFile(paths.saKey, pair.privateKey, { mode: 0o600 });
  }
  if (existsSync(paths.apiserverCert) && isExpiring(await readFile(paths.apiserverCert, 'utf8'))) {
    // The API server makes a new one when it finds none.
    await rm(paths.apiserverCert);
    await rm(join(paths.directory, 'apiserver.key'), { force: true });
  }
  const tokens = existsSync(paths.tokens) ? parseTokens(await readFile(paths.tokens, 'utf8')) : {};
  for (const user of users) tokens[user] ??= randomBytes(32).toString('hex');
  await writeFile(paths.tokens, formatTokens(tokens as Record<User, string>), { mode: 0o600 });
  return tokens as Record<User, string>;
}

/** Writes the kubeconfigs of all users, with the API server's certificate inside; call it once the server is ready. */
export async function writeKubeconfigs(
  dataDir: string,
  server: string,
  tokens: Record<User, string>,
  adminPath: string,
): Promise<void> {
  const paths = credentialPaths(dataDir);
  const authority = authorityOf(await readFile(paths.apiserverCert, 'utf8'));
  await writeFile(paths.authority, authority, { mode: 0o600 });
  for (const user of users) {
    const path = user === 'admin' ? adminPath : componentKubeconfig(dataDir, user);
    await writeFile(path, formatKubeconfig({ server, authority, user, token: tokens[user] }), { mode: 0o600 });
  }
}

/** A kubeconfig with one context, named `continuo`; JSON, which every reader of kubeconfigs takes as YAML. */
export function formatKubeconfig(options: { server: string; authority: string; user: string; token: string }): string {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'continuo',
        cluster: {
          server: options.server,
          'certificate-authority-data': Buffer.from(options.authority).toString('base64'),
        },
      },
    ],
    users: [{ name: options.user, user: { token: options.token } }],
    contexts: [{ name: 'continuo', context: { cluster: 'continuo', user: options.user } }],
    'current-context': 'continuo',
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

function formatTokens(tokens: Record<User, string>): string {
  return users.map((user) => `${tokens[user]},${user},${user},"system:masters"\n`).join('');
}

function parseTokens(csv: string): Partial<Record<string, string>> {
  const tokens: Partial<Record<string, string>> = {};
  for (const line of csv.split('\n')) {
    const [token, user] = line.split(',');
    if (token && user) tokens[user] = token;
  }
  return tokens;
}

/** The authority's certificate; the API server writes it behind its own in one file. */
export function authorityOf(chain: string): string {
  const certificates = chain.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const authority = certificates.find((pem) => new X509Certificate(pem).ca);
  if (!authority) throw new Error('certificate authority not found (NotFound): the API server wrote none');
  return `${authority}\n`;
}

function isExpiring(pem: string): boolean {
  return new X509Certificate(pem).validToDate.getTime() < Date.now() + renewBeforeMs;
}
