// Logins for registries as `docker login` keeps them: `config.json` in DOCKER_CONFIG or ~/.docker, and the credential
// helpers that it names.
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { credentialsFor, type DockerAuths, type RegistryCredentials } from '../activities/source/oci/docker-config.ts';
import { dockerHub } from '../activities/source/oci/oci-address.ts';
import { CommandError, usageError } from './exit.ts';

interface DockerConfig {
  auths?: DockerAuths;
  credsStore?: string;
  credHelpers?: Record<string, string>;
}

const helperTimeoutMs = 30_000;
const maxHelperBytes = 256 * 1024;

/** `<username>[:<password>]` of `--creds`; a user name alone is a token. Throws a usage error that shows none of it. */
export function parseCredentials(text: string): RegistryCredentials {
  const colon = text.indexOf(':');
  const username = colon < 0 ? text : text.slice(0, colon);
  if (username === '') throw usageError('--creds: expected "<username>:<password>"');
  const origin = 'the credentials in --creds';
  return { username, password: colon < 0 ? '' : text.slice(colon + 1), origin };
}

/** The login for a repository; undefined when there is none. */
export async function dockerLogin(
  address: { host: string; repository: string },
  env: NodeJS.ProcessEnv = process.env,
): Promise<RegistryCredentials | undefined> {
  const path = join(env['DOCKER_CONFIG'] || join(homedir(), '.docker'), 'config.json');
  const config = await readConfig(path);
  const key = address.host === dockerHub ? 'https://index.docker.io/v1/' : address.host;
  const helper = config.credHelpers?.[address.host] ?? config.credsStore;
  if (helper) {
    const found = await askHelper(helper, key);
    if (found) return found;
  }
  const logins = Object.entries(config.auths ?? {}).filter(([, auth]) => Object.keys(auth ?? {}).length > 0);
  try {
    return credentialsFor(Object.fromEntries(logins), address, `"${path}"`);
  } catch (error) {
    throw new CommandError(`"${path}" ${(error as Error).message}`);
  }
}

async function readConfig(path: string): Promise<DockerConfig> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as DockerConfig;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return {};
    throw new CommandError(`"${path}" cannot be read${code ? ` (${code})` : ': it is no JSON'}`);
  }
}

/** Runs `docker-credential-<name> get`; undefined when the helper knows no login for the registry. */
async function askHelper(name: string, registry: string): Promise<RegistryCredentials | undefined> {
  if (!/^[A-Za-z0-9._-]+$/.test(name)) throw new CommandError(`credential helper "${name}" is no name of a program`);
  const command = `docker-credential-${name}`;
  const output = await new Promise<string | undefined>((resolve, reject) => {
    const child = spawn(command, ['get'], { stdio: ['pipe', 'pipe', 'ignore'], timeout: helperTimeoutMs });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text = (text + chunk.toString()).slice(0, maxHelperBytes)));
    child.once('error', (error: NodeJS.ErrnoException) => {
      reject(new CommandError(`credential helper "${command}" cannot be run (${error.code ?? error.message})`));
    });
    child.once('close', (code) => resolve(code === 0 ? text : undefined));
    child.stdin.on('error', () => undefined);
    child.stdin.end(registry);
  });
  if (output === undefined) return undefined;
  let answer: { Username?: string; Secret?: string };
  try {
    answer = JSON.parse(output) as typeof answer;
  } catch {
    throw new CommandError(`credential helper "${command}" gave an answer that is no JSON`);
  }
  const { Username: username = '', Secret: password = '' } = answer;
  const origin = `the login of credential helper "${command}"`;
  // Helpers say so that what they have is a refresh token.
  return username === '<token>'
    ? { username: '', password: '', identityToken: password, origin }
    : { username, password, origin };
}
