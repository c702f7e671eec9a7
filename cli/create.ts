// `continuo create kustomization` and `continuo create source git`: make or change an object, and wait until it is ready.
import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { kinds } from '../k8s/api/index.ts';
import type { KindDefinition } from '../k8s/api/definition.ts';
import type { KubeObject } from '../k8s/object.ts';
import { refOf } from '../k8s/object.ts';
import { awaitReady } from './await-ready.ts';
import { openTemporal, withCluster } from './connect.ts';
import { addCreateFlags, checkDuration, collect, type CreateFlags } from './create-flags.ts';
import { kustomizationFromFlags, type KustomizationFlags } from './create-kustomization.ts';
import { credentialsSecret, gitRepositoryFromFlags, type SourceGitFlags } from './create-source-git.ts';
import { usageError } from './exit.ts';
import { checkNames } from './kinds.ts';
import { cliFieldManager, servedResource, subjectOfObject } from './objects.ts';
import { formatDocuments, printLine } from './output.ts';
import { onInterrupt } from './watch-objects.ts';
import { isReconciledKind } from './workflow-view.ts';

/** What another object may have to do first: it is waited for, up to the time-out. */
const passingReasons = ['DependencyNotReady', 'ArtifactFailed'];

/** Adds the commands. */
export function register(program: Command): void {
  const create = program.command('create').description('make or change a Kustomization or a source');
  const kustomization = create
    .command('kustomization')
    .alias('ks')
    .description('make or change a Kustomization, and wait until it is ready')
    .argument('<name>', 'its name')
    .option('--source <[kind/]name[.namespace]>', 'its source; the kind is GitRepository unless it is given')
    .option('--path <directory>', 'directory of the source with the manifests', './')
    .option('--prune', 'delete what is gone from the source')
    .option('--wait', 'be ready only when everything applied is healthy')
    .option('--retry-interval <duration>', 'how long to wait after a failure', checkDuration)
    .option(
      '--depends-on <[[kind/]namespace/]name>',
      'what must be ready before; several, or separated by commas',
      collect,
    )
    .option('--health-check <kind/name.namespace>', 'what must be healthy; several, or separated by commas', collect)
    .option('--health-check-timeout <duration>', 'how long that may take', checkDuration, '2m0s')
    .option('--target-namespace <name>', 'namespace for everything that is applied')
    .option('--service-account <name>', 'service account to act as')
    .addOption(new Option('--decryption-provider <provider>', 'how the files are encrypted').choices(['sops']))
    .option('--decryption-secret <name>', 'Secret with the keys for decryption')
    .option('--kubeconfig-secret-ref <name>', 'Secret with the kubeconfig of the cluster to apply to')
    .action((name: string, flags: KustomizationFlags) => {
      checkNames(kinds.Kustomization, [name]);
      return createObjects(kinds.Kustomization, [kustomizationFromFlags(name, flags)], flags);
    });
  addCreateFlags(kustomization);
  const source = create.command('source').description('make or change a source');
  const git = source
    .command('git')
    .description('make or change a GitRepository, and wait until it is ready')
    .argument('<name>', 'its name')
    .option('--url <address>', 'address of the repository')
    .option('--branch <name>', 'branch to take')
    .option('--tag <name>', 'tag to take')
    .option('--tag-semver <range>', 'take the newest tag of a range of versions')
    .option('--ref-name <name>', 'reference to take, such as refs/pull/7/head')
    .option('--commit <id>', 'commit to take')
    .option('--secret-ref <name>', 'Secret with the credentials')
    .option('--proxy-secret-ref <name>', 'Secret with the address of a proxy')
    .addOption(new Option('--provider <name>', 'how to log in').choices(['generic', 'github', 'aws', 'azure']))
    .option('--ignore-paths <patterns>', 'files to leave out; several, or separated by commas', collect)
    .option('--sparse-checkout-paths <directories>', 'directories to take; several, or separated by commas', collect)
    .option('--recurse-submodules', 'fetch submodules too')
    .option('-u, --username <name>', 'make a Secret with this user name')
    .option('-p, --password <text>', 'and this password or token')
    .option('--ca-file <path>', 'and these certificates to trust')
    .action(runCreateSourceGit);
  addCreateFlags(git);
}

async function runCreateSourceGit(name: string, given: SourceGitFlags): Promise<void> {
  checkNames(kinds.GitRepository, [name]);
  const flags = { ...given, ...(given.caFile && { caFile: await readCaFile(given.caFile) }) };
  const secret = credentialsSecret(name, flags);
  if (secret && flags.export) {
    throw usageError('--export prints no credentials: name a Secret that exists with --secret-ref');
  }
  await createObjects(kinds.GitRepository, [...(secret ? [secret] : []), gitRepositoryFromFlags(name, flags)], flags);
}

async function readCaFile(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw usageError(`--ca-file "${path}" cannot be read (${error.code ?? error.message})`);
  });
}

/** Applies objects in their order and waits for the last one; with `--export`, prints them. */
async function createObjects(definition: KindDefinition, objects: KubeObject[], flags: CreateFlags): Promise<void> {
  if (flags.export) {
    console.log(formatDocuments(objects));
    return;
  }
  const interrupt = onInterrupt().signal;
  const temporal = openTemporal(flags);
  try {
    await withCluster(flags, async (kube) => {
      await servedResource(kube, definition);
      for (const object of objects) {
        const isThere = (await kube.get(refOf(object), { metadataOnly: true })) !== undefined;
        await kube.apply(object, { fieldManager: cliFieldManager, force: true });
        printLine(`✔ ${subjectOfObject(object)} ${isThere ? 'configured' : 'created'}`);
      }
      const object = objects.at(-1) as KubeObject;
      if (!flags.waitReady) return;
      if (!isReconciledKind(definition.kind)) {
        printLine(`► a ${definition.kind} is not reconciled by this version of Continuo: there is nothing to wait for`);
        return;
      }
      const timeoutMs = flags.timeout;
      await awaitReady({ kube, temporal, definition, object, timeoutMs, interrupt, passingReasons });
    });
  } finally {
    await temporal.close();
  }
}
