// `continuo push artifact`: packs files and uploads them to a registry, as `flux push artifact` does.
import { type Command, Option } from 'commander';
import { buffer } from 'node:stream/consumers';
import {
  configMediaType,
  configOf,
  contentMediaType,
  defaultIgnorePaths,
  manifestMediaType,
  manifestOf,
  packContents,
  packText,
  parseAnnotations,
} from './artifact-contents.ts';
import { addRegistryFlags, nameOf, type RegistryFlags, withRegistry } from './artifact-registry.ts';
import { collect } from './create-flags.ts';
import { usageError } from './exit.ts';
import { formatValue, printLine } from './output.ts';

interface PushFlags extends RegistryFlags {
  path?: string;
  source?: string;
  revision?: string;
  annotations?: string[];
  ignorePaths?: string[];
  reproducible?: boolean;
  resolveSymlinks?: boolean;
  output?: 'json' | 'yaml';
}

/** Adds the command. */
export function register(program: Command): void {
  const command = program
    .command('push')
    .description('upload to a registry')
    .command('artifact')
    .description('pack a directory or a file and upload it to a registry')
    .argument('<oci://host/repository:tag>', 'where to')
    .option('-f, --path <path>', 'directory or file to pack; "-" packs standard input')
    .option('--source <address>', 'where the content comes from; in a Git working tree: the remote "origin"')
    .option('--revision <revision>', 'which revision of it; in a Git working tree: <branch>@sha1:<commit>')
    .option('-a, --annotations <key=value>', 'annotation of the artifact; may be given several times', several)
    .option('--ignore-paths <patterns>', 'files to leave out; several, or separated by commas', collect)
    .option('--resolve-symlinks', 'pack what symbolic links lead to, which are left out otherwise')
    .option('--reproducible', 'give the same digest to the same content: without the time of now')
    .addOption(new Option('-o, --output <format>', 'how to print the result').choices(['json', 'yaml']))
    .addOption(new Option('--debug').hideHelp()) // of flux: what its library logs
    .action(run);
  addRegistryFlags(command);
}

function several(text: string, before: string[] = []): string[] {
  return [...before, text];
}

/** What is not given is read from the Git repository that the files are in; changes in it are told, as they have no name. */
async function originOf(path: string, flags: PushFlags): Promise<Pick<PushFlags, 'source' | 'revision'>> {
  if (path === '-' || (flags.source && flags.revision)) return flags;
  const { workingTreeOf } = await import('./working-tree.ts'); // no other command needs its library
  const tree = await workingTreeOf(path);
  if (tree?.isChanged && !flags.revision) {
    console.error(`⚠ ${path} has changes that are not in ${tree.revision}: commit them, or give --revision`);
  }
  return { source: flags.source ?? tree?.source, revision: flags.revision ?? tree?.revision };
}

async function run(url: string, flags: PushFlags): Promise<void> {
  const { path, annotations = [], ignorePaths = defaultIgnorePaths, reproducible, output } = flags;
  if (!path) throw usageError('--path is missing: expected a directory or a file to pack');
  const { source, revision } = await originOf(path, flags);
  if (!source) throw usageError('--source is missing: expected for example the address of the Git repository');
  if (!revision) throw usageError('--revision is missing: expected for example "main@sha1:<commit>"');
  const given = parseAnnotations(annotations);
  await withRegistry(url, flags, async ({ address, client, signal }) => {
    if (address.digest) throw usageError('expected an address with a tag to push to, got one with a digest');
    const tag = address.tag ?? 'latest';
    const { repository } = address;
    const content =
      path === '-'
        ? await packText('manifests.yaml', await buffer(process.stdin))
        : await packContents(path, ignorePaths, flags.resolveSymlinks);
    if (!output) printLine(`► pushing artifact to ${nameOf(address, { tag })}`);
    const now = `${new Date(reproducible ? 0 : Date.now()).toISOString().slice(0, 19)}Z`;
    const created = given['org.opencontainers.image.created'] ?? now;
    const layer = await client.pushBlob(repository, contentMediaType, content, signal);
    const config = await client.pushBlob(repository, configMediaType, configOf(content, created), signal);
    const manifest = manifestOf(config, layer, { created, source, revision, annotations: given });
    const { digest } = await client.pushManifest(repository, tag, manifestMediaType, manifest, signal);
    const name = nameOf(address, { digest });
    if (!output) printLine(`✔ artifact successfully pushed to ${name}`);
    else
      console.log(
        formatValue({ url: `oci://${name}`, repository: `${address.host}/${repository}`, tag, digest }, output),
      );
  });
}
