// `continuo build kustomization`: the manifests of a Kustomization as they would be applied, as YAML documents.
import type { Command } from 'commander';
import type { KubeClient } from '../k8s/client.ts';
import type { KubeObject } from '../k8s/object.ts';
import { addBuildFlags, type BuildFlags, kustomizationOf } from './build-flags.ts';
import { withCluster } from './connect.ts';
import { usageError } from './exit.ts';
import { addClusterFlags, type ClusterFlags } from './flags.ts';
import { parseKustomizationTarget } from './kinds.ts';
import { mask, maskObject } from './mask-secrets.ts';
import { formatDocuments } from './output.ts';
import { maskTexts } from './secret-values.ts';
import { onInterrupt } from './watch-objects.ts';

interface BuildCommandFlags extends ClusterFlags, BuildFlags {
  dryRun?: boolean;
  showSecrets?: boolean;
}

/** Adds the command. */
export function register(program: Command): void {
  const command = program
    .command('build')
    .description('print the manifests that a Kustomization makes of its source')
    .usage('kustomization <name> [flags]')
    .argument('<kind-and-name...>', 'such as "kustomization demo", "ks demo", "ks/demo"')
    .option(
      '--dry-run',
      'ask no cluster: needs --kustomization-file and --path; nothing is decrypted, and no variables come from ConfigMaps and Secrets',
    )
    .option('--show-secrets', 'print what comes from Secrets and encrypted files, which is masked otherwise')
    .action(runBuild);
  addClusterFlags(addBuildFlags(command));
}

async function runBuild(words: string[], flags: BuildCommandFlags): Promise<void> {
  const name = parseKustomizationTarget(words);
  if (!flags.dryRun) {
    await withCluster(flags, (kube) => build(kube, name, flags));
    return;
  }
  if (!flags.kustomizationFile || flags.path === undefined) {
    throw usageError(
      '--dry-run asks no cluster: give the Kustomization with --kustomization-file and the manifests with --path',
    );
  }
  await build(undefined, name, flags);
}

async function build(kube: KubeClient | undefined, name: string, flags: BuildCommandFlags): Promise<void> {
  const { renderKustomization } = await import('./render.ts');
  const { kustomization } = await kustomizationOf(kube, name, flags);
  const { objects, secrets } = await renderKustomization({
    kustomization,
    kube,
    directory: flags.path,
    artifactAddress: flags.artifactAddress,
    isStrict: flags.strictSubstitute,
    signal: onInterrupt().signal,
    report: (line) => console.error(line),
  });
  const masked = (object: KubeObject): KubeObject => maskObject(maskTexts(object, secrets, mask));
  if (objects.length > 0) console.log(formatDocuments(flags.showSecrets ? objects : objects.map(masked)));
}
