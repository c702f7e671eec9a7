// `continuo create kustomization`, `create helmrelease` and `create source …`: make or change an object, and wait until it is ready.
import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { kinds } from '../k8s/api/index.ts';
import type { KindDefinition } from '../k8s/api/definition.ts';
import type { KubeObject } from '../k8s/object.ts';
import { refOf } from '../k8s/object.ts';
import { isStatic } from '../k8s/static-objects.ts';
import { awaitReady } from './await-ready.ts';
import { openTemporal, withCluster } from './connect.ts';
import { addCreateFlags, addFetchTimeoutFlag, checkDuration, collect, type CreateFlags } from './create-flags.ts';
import { type HelmReleaseFlags, helmReleaseFromFlags } from './create-helmrelease.ts';
import { kustomizationFromFlags, type KustomizationFlags } from './create-kustomization.ts';
import { bucketFromFlags, type SourceBucketFlags } from './create-source-bucket.ts';
import { registerCreateSourceChart } from './create-source-chart.ts';
import { registerCreateSourceGit } from './create-source-git.ts';
import { registerCreateSourceHelm } from './create-source-helm.ts';
import { ociRepositoryFromFlags, type SourceOciFlags } from './create-source-oci.ts';
import { registerCreateSecret } from './create-secret.ts';
import { usageError } from './exit.ts';
import { checkNames } from './kinds.ts';
import { cliFieldManager, servedResource, subjectOfObject } from './objects.ts';
import { formatDocuments, printLine } from './output.ts';
import { onInterrupt } from './watch-objects.ts';
import { isReconciledKind } from './workflow-view.ts';

/** What another object may have to do first: it is waited for, up to the time-out. */
const passingReasons = ['DependencyNotReady', 'ArtifactFailed', 'NoSourceArtifact', 'SourceNotReady'];

/** Adds the commands. */
export function register(program: Command): void {
  const create = program
    .command('create')
    .description('make or change a Kustomization, a HelmRelease, a source or a Secret');
  registerCreateSecret(create);
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
  const helmRelease = create
    .command('helmrelease')
    .alias('hr')
    .description('make or change a HelmRelease, and wait until it is ready')
    .argument('<name>', 'its name')
    .option('--chart <name|directory>', 'name of the chart, or its directory in the source')
    .option('--source <kind/name[.namespace]>', 'where the chart comes from: HelmRepository, GitRepository or Bucket')
    .option('--chart-version <range>', 'version of the chart, or a range of versions')
    .option('--chart-interval <duration>', 'how often the source is looked at', checkDuration)
    .option('--chart-ref <kind/name[.namespace]>', 'an OCIRepository, HelmChart or ExternalArtifact with the chart')
    .addOption(
      new Option('--reconcile-strategy <name>', 'what makes a new chart').choices(['ChartVersion', 'Revision']),
    )
    .option('--release-name <name>', 'name of the Helm release')
    .option('--target-namespace <name>', 'namespace of the release')
    .option('--create-target-namespace', 'create that namespace if it does not exist')
    .option('--storage-namespace <name>', 'namespace of the release history; the target namespace unless it is given')
    .option(
      '--depends-on <[[kind/]namespace/]name>',
      'what must be ready before; several, or separated by commas',
      collect,
    )
    .addOption(
      new Option('--crds <policy>', 'what an upgrade does with the CRDs of the chart').choices([
        'Skip',
        'Create',
        'CreateReplace',
      ]),
    )
    .option('--values <file>', 'file with values; several, or separated by commas', collect)
    .option(
      '--values-from <kind/name[/key]>',
      'ConfigMap or Secret with values; several, or separated by commas',
      collect,
    )
    .option('--service-account <name>', 'service account to act as')
    .option('--kubeconfig-secret-ref <name>', 'Secret with the kubeconfig of the cluster to install to')
    .action(runCreateHelmRelease);
  addCreateFlags(helmRelease);
  const source = create.command('source').description('make or change a source');
  registerCreateSourceGit(source, createObjects);
  const bucket = source
    .command('bucket')
    .description('make or change a Bucket, and wait until it is ready')
    .argument('<name>', 'its name')
    .addOption(
      new Option('--provider <name>', 'what the storage is')
        .choices(['generic', 'aws', 'gcp', 'azure'])
        .default('generic'),
    )
    .option('--bucket-name <name>', 'name of the bucket; of the container for azure')
    .option('--endpoint <host[:port]>', 'where the storage is')
    .option('--region <name>', 'region of the bucket')
    .option('--prefix <text>', 'only objects whose key starts with it')
    .option('--insecure', 'speak HTTP without TLS')
    .option('--secret-ref <name>', 'Secret with the credentials')
    .option('--cert-secret-ref <name>', 'Secret with certificates')
    .option('--proxy-secret-ref <name>', 'Secret with the address of a proxy')
    .addOption(new Option('--sts-provider <name>', 'token service that gives credentials').choices(['aws', 'ldap']))
    .option('--sts-endpoint <address>', 'address of the token service')
    .option('--sts-secret-ref <name>', 'Secret with "username" and "password" for it')
    .option('--ignore-paths <patterns>', 'files to leave out; several, or separated by commas', collect)
    .option('--access-key <text>', 'make a Secret with this access key')
    .option('--secret-key <text>', 'and this secret key')
    .action((name: string, flags: SourceBucketFlags) => {
      checkNames(kinds.Bucket, [name]);
      return createObjects(kinds.Bucket, bucketFromFlags(name, flags), flags);
    });
  addFetchTimeoutFlag(bucket);
  addCreateFlags(bucket);
  const oci = source
    .command('oci')
    .description('make or change an OCIRepository, and wait until it is ready')
    .argument('<name>', 'its name')
    .option('--url <address>', 'address of the repository in the registry, oci://host/repository')
    .option('--tag <name>', 'tag to take')
    .option('--tag-semver <range>', 'take the newest tag of a range of versions')
    .option('--digest <digest>', 'digest to take')
    .option('--layer-selector <type:operation>', 'layer to take by its media type, and "extract" or "copy"')
    .addOption(
      new Option('--provider <name>', 'how to log in').choices(['generic', 'aws', 'azure', 'gcp']).default('generic'),
    )
    .option('--secret-ref <name>', 'Secret of type kubernetes.io/dockerconfigjson')
    .option('--service-account <name>', 'service account whose image pull secrets log in')
    .option('--cert-ref <name>', 'Secret with certificates')
    .option('--proxy-secret-ref <name>', 'Secret with the address of a proxy')
    .option('--ignore-paths <patterns>', 'files to leave out; several, or separated by commas', collect)
    .option('--insecure', 'take any certificate, and speak HTTP where the registry has no TLS')
    .addOption(new Option('--verify-provider <tool>', 'what has signed').choices(['cosign', 'notation']))
    .option('--verify-secret-ref <name>', 'Secret with the keys or certificates to trust')
    .option('--verify-issuer <expression>', 'issuer of the identity that has signed')
    .option('--verify-subject <expression>', 'subject of the identity that has signed')
    .action((name: string, flags: SourceOciFlags) => {
      checkNames(kinds.OCIRepository, [name]);
      return createObjects(kinds.OCIRepository, [ociRepositoryFromFlags(name, flags)], flags);
    });
  addFetchTimeoutFlag(oci);
  addCreateFlags(oci);
  registerCreateSourceHelm(source, createObjects);
  registerCreateSourceChart(source, createObjects);
}

async function runCreateHelmRelease(name: string, flags: HelmReleaseFlags & { values?: string[] }): Promise<void> {
  checkNames(kinds.HelmRelease, [name]);
  const files = await Promise.all((flags.values ?? []).map(async (path) => ({ path, text: await readValues(path) })));
  await createObjects(kinds.HelmRelease, [helmReleaseFromFlags(name, flags, files)], flags);
}

async function readValues(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw usageError(`--values "${path}" cannot be read (${error.code ?? error.message})`);
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
      if (isStatic(object)) {
        printLine(`► ${subjectOfObject(object)} is the address of a registry: there is nothing to wait for`);
        return;
      }
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
