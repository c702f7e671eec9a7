// Decryption for the time of one build: the keys are read, the private directory is made and sops is run only when
// something is there to decrypt, and nothing is left of it afterwards.
import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../../errors.ts';
import { makePrivateDirectory } from '../../private-directory.ts';
import type { DecryptionKeys } from './keys.ts';
import { runSops } from './run-sops.ts';
import { sopsEnvironment } from './sops-environment.ts';
import { explainSopsFailure } from './sops-failure.ts';
import { recipientsOf, type SopsFormat } from './sops-metadata.ts';

/** The largest file that is decrypted (contract 2.1, "Decryption"). */
export const maxEncryptedBytes = 5 * 1024 * 1024;
/** Text that is escaped may grow, but not without end. */
const maxPlainBytes = 4 * maxEncryptedBytes;
/** Processes of one build at a time. */
const maxParallelRuns = 4;

/** What a session works with. */
export interface SessionOptions {
  sopsBinary: string;
  /** Where private directories are made. */
  temporaryDirectory: string;
  /** The worker's own credentials for key services; see `ambientEnvironment`. */
  ambient: Readonly<Record<string, string>>;
  /** For one run, the answer of a key service included. */
  timeoutMs: number;
  /** Reads the keys; called once, when the first content is decrypted. */
  readKeys(): DecryptionKeys;
  /** Where keys come from, for messages. */
  keySource: string;
  signal: AbortSignal | undefined;
}

/** One piece of encrypted content. */
export interface EncryptedContent {
  content: Uint8Array;
  input: SopsFormat;
  output: SopsFormat;
  /** For messages: `file "apps/secret.yaml"`. */
  subject: string;
  /** Only for what can no longer fit its message authentication code. @default false */
  isMacIgnored?: boolean;
}

/** Decrypts for one build. */
export interface SopsSession {
  /** The plain content. Fails with BuildFailed, naming the subject; rejects with the signal's reason when aborted. */
  decrypt(encrypted: EncryptedContent): Promise<Uint8Array>;
  /** Removes the keys from the disk. */
  close(): Promise<void>;
}

/** Opens a session. Nothing happens before the first call of `decrypt`. */
export function openSession(options: SessionOptions): SopsSession {
  let opened: Promise<{ keys: DecryptionKeys; root: string }> | undefined;
  let running = 0;
  const waiting: (() => void)[] = [];

  async function open(): Promise<{ keys: DecryptionKeys; root: string }> {
    let keys: DecryptionKeys;
    try {
      keys = options.readKeys();
    } catch (error) {
      throw decryptionFailed((error as Error).message);
    }
    return { keys, root: await makePrivateDirectory(options.temporaryDirectory, 'sops') };
  }

  async function takeTurn(): Promise<void> {
    if (running < maxParallelRuns) running += 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
  }

  function passTurn(): void {
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  }

  async function decrypt(encrypted: EncryptedContent): Promise<Uint8Array> {
    const { content, subject, input, output } = encrypted;
    if (content.length > maxEncryptedBytes) {
      throw decryptionFailed(`${subject} has ${content.length} bytes, over the limit of ${maxEncryptedBytes} bytes`);
    }
    await takeTurn();
    try {
      opened ??= open();
      const { keys, root } = await opened;
      const recipients = recipientsOf(content, input);
      const home = join(root, randomBytes(6).toString('hex'));
      const environment = sopsEnvironment(keys, new Set(recipients.map(({ kind }) => kind)), home, options.ambient);
      await writeFiles(home, environment.files);
      const result = await runSops({
        binary: options.sopsBinary,
        content,
        input,
        output,
        isMacIgnored: encrypted.isMacIgnored ?? false,
        home,
        variables: environment.variables,
        timeoutMs: options.timeoutMs,
        maxOutputBytes: maxPlainBytes,
        signal: options.signal,
      });
      if (result.exitCode === 0) return result.plain;
      const secrets = secretsOf(keys, environment.variables);
      const known = { recipients, keyNames: keys.names, keySource: options.keySource, secrets };
      throw decryptionFailed(explainSopsFailure({ subject, ...result, ...known }));
    } catch (error) {
      options.signal?.throwIfAborted();
      if ((error as Error).name === 'ApplicationFailure') throw error;
      throw decryptionFailed(`${subject} cannot be decrypted: ${(error as Error).message}`);
    } finally {
      passTurn();
    }
  }

  async function close(): Promise<void> {
    const made = await opened?.catch(() => undefined);
    if (made) await rm(made.root, { recursive: true, force: true });
  }

  return { decrypt, close };
}

/** A failure of the build stage that says it was decryption. */
export function decryptionFailed(message: string): Error {
  return failure('BuildFailed', `decryption failed: ${message}`);
}

/** Waits for all of them, also when one fails, so that no process works on for a build that is over. */
export async function settled<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(work);
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

/** A home for each run: two runs with different keys share no file. */
async function writeFiles(home: string, files: Readonly<Record<string, Uint8Array>>): Promise<void> {
  await mkdir(home, { mode: 0o700 });
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(home, name), content, { mode: 0o600, flag: 'wx' });
  }
}

const harmlessVariables = /^(HOME|XDG_CONFIG_HOME|TMPDIR|GNUPGHOME|SOPS_(GPG_EXEC|CONFIG|DISABLE_VERSION_CHECK))$/;

function secretsOf(keys: DecryptionKeys, variables: Readonly<Record<string, string>>): string[] {
  const values = Object.entries(variables)
    .filter(([name]) => !harmlessVariables.test(name))
    .flatMap(([, value]) => [value, ...value.split('\n')]);
  return [...values, ...(keys.azure?.certificate ? [keys.azure.certificate] : [])];
}
