// `continuo tag artifact`: gives an artifact in a registry further tags.
import type { Command } from 'commander';
import { isTag } from '../activities/source/oci/oci-address.ts';
import { addRegistryFlags, nameOf, referenceOf, type RegistryFlags, withRegistry } from './artifact-registry.ts';
import { collect } from './create-flags.ts';
import { usageError } from './exit.ts';
import { printLine } from './output.ts';

interface TagFlags extends RegistryFlags {
  tag?: string[];
}

/** Adds the command. */
export function register(program: Command): void {
  const command = program
    .command('tag')
    .description('tag what is in a registry')
    .command('artifact')
    .description('give an artifact further tags')
    .argument('<oci://host/repository:tag>', 'which artifact')
    .option('--tag <name>', 'the new tag; several, or separated by commas', collect)
    .action(run);
  addRegistryFlags(command);
}

async function run(url: string, { tag: tags = [], ...flags }: TagFlags): Promise<void> {
  if (tags.length === 0) throw usageError('--tag is missing: expected the new tag');
  for (const tag of tags) {
    if (!isTag(tag)) throw usageError(`--tag: expected letters, digits, "_", "." and "-", got "${tag}"`);
  }
  await withRegistry(url, flags, async ({ address, client, signal }) => {
    printLine('► tagging artifact');
    for (const tag of tags) {
      await client.tag(address.repository, referenceOf(address), tag, signal);
      printLine(`✔ artifact tagged as ${nameOf(address, { tag })}`);
    }
  });
}
