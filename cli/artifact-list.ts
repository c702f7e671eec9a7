// `continuo list artifacts`: the tags of a repository in a registry, with where each comes from.
import type { Command } from 'commander';
import { RegistryError } from '../activities/source/oci/registry-error.ts';
import { matchingTags } from '../activities/source/oci/select-reference.ts';
import { addRegistryFlags, nameOf, type RegistryFlags, withRegistry } from './artifact-registry.ts';
import { usageError } from './exit.ts';
import { type Column, tableLines } from './table.ts';

interface ListFlags extends RegistryFlags {
  filterSemver?: string;
  filterRegex?: string;
}

interface ListedArtifact {
  name: string;
  digest: string;
  source: string;
  revision: string;
}

const columns: Column<ListedArtifact>[] = [
  { title: 'ARTIFACT', value: ({ name }) => name },
  { title: 'DIGEST', value: ({ digest }) => digest },
  { title: 'SOURCE', value: ({ source }) => source },
  { title: 'REVISION', value: ({ revision }) => revision },
];

/** Manifests that are asked for at the same time. */
const concurrency = 8;

/** Adds the command. */
export function register(program: Command): void {
  const command = program
    .command('list')
    .description('list what is in a registry')
    .command('artifacts')
    .description('list the artifacts of a repository')
    .argument('<oci://host/repository>', 'which repository')
    .option('--filter-semver <range>', 'only tags that are versions of a range')
    .option('--filter-regex <expression>', 'only tags in which the expression is found')
    .action(run);
  addRegistryFlags(command);
}

async function run(url: string, { filterSemver, filterRegex, ...flags }: ListFlags): Promise<void> {
  await withRegistry(url, flags, async ({ address, client, signal }) => {
    const { repository, tag: given, digest: pinned } = address;
    if (given ?? pinned) throw usageError('expected the address of a repository, got one with a tag or digest');
    const all = await client.tags(repository, signal);
    const tags = select(all, filterSemver, filterRegex);
    const rows: (ListedArtifact | undefined)[] = [];
    let next = 0;
    const work = async (): Promise<void> => {
      for (let index = next++; index < tags.length; index = next++) {
        rows[index] = await describe(tags[index] as string);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, work));
    for (const line of tableLines(
      columns,
      rows.filter((row) => row !== undefined),
    ))
      console.log(line);

    async function describe(tag: string): Promise<ListedArtifact | undefined> {
      try {
        const { digest, manifest } = await client.manifest(repository, tag, signal);
        const { annotations = {} } = manifest;
        return {
          name: nameOf(address, { tag }),
          digest,
          source: annotations['org.opencontainers.image.source'] ?? '',
          revision: annotations['org.opencontainers.image.revision'] ?? '',
        };
      } catch (error) {
        // A tag may go between the list and the look.
        if (error instanceof RegistryError && error.problem === 'notFound') return undefined;
        throw error;
      }
    }
  });
}

function select(tags: string[], range: string | undefined, filter: string | undefined): string[] {
  try {
    return matchingTags(tags, range, filter);
  } catch (error) {
    throw usageError((error as Error).message);
  }
}
