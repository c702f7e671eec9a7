// `continuo pull artifact`: downloads an artifact from a registry and unpacks it into a directory.
import { createWriteStream } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { extractTarball } from '../activities/artifact/extract.ts';
import type { RegistryClient } from '../activities/source/oci/registry-client.ts';
import { imageOfIndex, isIndex, selectLayer } from '../activities/source/oci/select-layer.ts';
import { addRegistryFlags, nameOf, referenceOf, type RegistryFlags, withRegistry } from './artifact-registry.ts';
import { CommandError, usageError } from './exit.ts';
import { printLine } from './output.ts';

interface PullFlags extends RegistryFlags {
  output?: string;
}

const gibibyte = 1024 ** 3;
const limits = { maxFiles: 100_000, maxBytes: gibibyte };

/** Adds the command. */
export function register(program: Command): void {
  const command = program
    .command('pull')
    .description('download from a registry')
    .command('artifact')
    .description('download an artifact and unpack it')
    .argument('<oci://host/repository:tag>', 'what to pull')
    .option('-o, --output <directory>', 'directory that exists, to unpack into')
    .action(run);
  addRegistryFlags(command);
}

async function run(url: string, { output, ...flags }: PullFlags): Promise<void> {
  const isDirectory = output && (await stat(output).catch(() => undefined))?.isDirectory();
  if (!output || !isDirectory) throw usageError(`--output has to be a directory that exists, got "${output ?? ''}"`);
  await withRegistry(url, flags, async ({ address, client, signal }) => {
    const { repository } = address;
    printLine(`► pulling artifact from ${nameOf(address, { tag: referenceOf(address), digest: address.digest })}`);
    const top = await client.manifest(repository, referenceOf(address), signal);
    const { manifest } = isIndex(top.manifest)
      ? await client.manifest(repository, imageOfIndex(top.manifest).digest, signal)
      : top;
    const layer = selectLayer(manifest, undefined);
    await extractInto(output, client.blob(repository, layer.digest, signal, gibibyte), signal);
    const { annotations = {} } = manifest;
    const told = {
      source: annotations['org.opencontainers.image.source'],
      revision: annotations['org.opencontainers.image.revision'],
      digest: nameOf(address, { digest: top.digest }),
    };
    for (const [name, value] of Object.entries(told)) if (value) printLine(`► ${name} ${value}`);
    printLine(`✔ artifact content extracted to ${output}`);
  });
}

/** Unpacks beside, where nothing can be overwritten or followed, and copies what is safe. */
async function extractInto(
  output: string,
  blob: ReturnType<RegistryClient['blob']>,
  signal: AbortSignal,
): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'continuo-pull-'));
  try {
    const tarball = join(work, 'layer');
    const root = join(work, 'files');
    await mkdir(root);
    await pipeline(blob, createWriteStream(tarball, { mode: 0o600 }), { signal });
    const { files } = await extractTarball(tarball, root, limits, signal).catch((error: Error) => {
      signal.throwIfAborted();
      throw new CommandError(`the artifact cannot be unpacked: ${error.message}`);
    });
    for (const path of files.keys()) {
      const target = join(output, path);
      await mkdir(dirname(target), { recursive: true });
      await rm(target, { force: true }); // a link is replaced, not followed
      await copyFile(join(root, path), target);
      const isExecutable = ((await stat(join(root, path))).mode & 0o100) !== 0;
      await chmod(target, (isExecutable ? 0o777 : 0o666) & ~process.umask());
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
