// The content of an artifact that is pushed: a directory or one file as a reproducible tar.gz, and the manifest around it
// as `flux push artifact` writes it.
import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { ArchiveFile } from '../activities/artifact/artifact.ts';
import { packArchive } from '../activities/artifact/pack-archive.ts';
import { compileIgnoreRules } from '../activities/source/ignore.ts';
import type { Descriptor } from '../activities/source/oci/registry-client.ts';
import { CommandError, usageError } from './exit.ts';

export const configMediaType = 'application/vnd.cncf.flux.config.v1+json';
export const contentMediaType = 'application/vnd.cncf.flux.content.v1.tar+gzip';
export const manifestMediaType = 'application/vnd.oci.image.manifest.v1+json';

/** Left out unless `--ignore-paths` says something else, as the flux CLI does. */
export const defaultIgnorePaths = [
  ...['.git/', '.gitignore', '.gitmodules', '.gitattributes'],
  ...['*.jpg', '*.jpeg', '*.gif', '*.png', '*.wmv', '*.flv', '*.tar.gz', '*.zip'],
];

const maxFiles = 100_000;
/** The archive is held in memory while it is uploaded. */
const maxBytes = 512 * 1024 * 1024;

/**
 * Packs a directory, or a single file under its own name; what symbolic links lead to only where it is asked for. Throws a
 * usage error when there is neither.
 */
export async function packContents(
  path: string,
  ignorePaths: readonly string[],
  areLinksFollowed = false,
): Promise<Buffer> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory() && !found?.isFile()) {
    throw usageError(`--path has to be a directory or a file that exists, got "${path}"`);
  }
  const files = found.isFile()
    ? [{ path: basename(path), isExecutable: (found.mode & 0o100) !== 0, content: () => readFile(path) }]
    : await filesBelow(path, ignorePaths, areLinksFollowed);
  return await packFiles(files, path);
}

/** Packs one file that is at hand, such as standard input. */
export async function packText(name: string, content: Uint8Array): Promise<Buffer> {
  return await packFiles([{ path: name, isExecutable: false, content: async () => content }], name);
}

async function packFiles(files: ArchiveFile[], what: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let total = 0;
  for await (const part of packArchive(files)) {
    total += part.length;
    if (total > maxBytes) throw new CommandError(`"${what}" has more than the ${maxBytes} bytes allowed`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

async function filesBelow(
  root: string,
  ignorePaths: readonly string[],
  areLinksFollowed: boolean,
): Promise<ArchiveFile[]> {
  const rules = compileIgnoreRules([], ignorePaths.join('\n'));
  const files: ArchiveFile[] = [];
  /** `above` are the real paths of the directories that this one is in. */
  async function walk(directory: string, above: readonly string[]): Promise<void> {
    const real = await realpath(join(root, directory));
    if (above.includes(real))
      throw new CommandError(`"${join(root, directory)}" is a link to a directory that it is in`);
    for (const found of await readdir(join(root, directory), { withFileTypes: true })) {
      const path = directory ? `${directory}/${found.name}` : found.name;
      // Symbolic links are no content: whoever takes the artifact would leave them out.
      const isFollowed = areLinksFollowed && found.isSymbolicLink() && !rules.isIgnored(path);
      const entry = isFollowed ? await targetOf(join(root, path)) : found;
      if (entry.isDirectory() && found.name !== '.git') await walk(path, [...above, real]);
      if (!entry.isFile() || rules.isIgnored(path)) continue;
      if (files.length >= maxFiles) throw new CommandError(`"${root}" has more than the ${maxFiles} files allowed`);
      const file = join(root, path);
      files.push({ path, isExecutable: ((await stat(file)).mode & 0o100) !== 0, content: () => readFile(file) });
    }
  }
  await walk('', []);
  return files;
}

async function targetOf(link: string): Promise<Stats> {
  return await stat(link).catch((error: NodeJS.ErrnoException) => {
    throw new CommandError(`the symbolic link "${link}" cannot be followed (${error.code ?? error.message})`);
  });
}

export interface ArtifactMetadata {
  /** RFC 3339. */
  created: string;
  source: string;
  revision: string;
  annotations: Readonly<Record<string, string>>;
}

/** The configuration blob: an image without a platform, whose one layer unpacks to `content`. */
export function configOf(content: Uint8Array, created: string): Buffer {
  const unpacked = createHash('sha256')
    .update(gunzipSync(content, { maxOutputLength: 4 * maxBytes }))
    .digest('hex');
  const rootfs = { type: 'layers', diff_ids: [`sha256:${unpacked}`] };
  return Buffer.from(JSON.stringify({ architecture: '', created, os: '', rootfs, config: {} }));
}

/** The manifest of an artifact; the annotations that are given win over those of the source. */
export function manifestOf(config: Descriptor, layer: Descriptor, metadata: ArtifactMetadata): Buffer {
  const annotations = {
    'org.opencontainers.image.created': metadata.created,
    'org.opencontainers.image.revision': metadata.revision,
    'org.opencontainers.image.source': metadata.source,
    ...metadata.annotations,
  };
  return Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: manifestMediaType, config, layers: [layer], annotations }),
  );
}

/** `key=value` each. Throws a usage error for anything else. */
export function parseAnnotations(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const equals = text.indexOf('=');
      if (equals <= 0) throw usageError(`--annotations "${text}": expected "<key>=<value>"`);
      return [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}
