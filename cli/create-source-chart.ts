// `continuo create source chart`: a HelmChart out of flags.
import { type Command, Option } from 'commander';
import type { HelmChartSpec } from '../k8s/api/helm-chart.ts';
import { kinds } from '../k8s/api/index.ts';
import type { KubeObject } from '../k8s/object.ts';
import { addCreateFlags, collect, type CreateFlags, objectOf } from './create-flags.ts';
import type { CreateObjects } from './create-source-helm.ts';
import { usageError } from './exit.ts';
import { checkNames } from './kinds.ts';

export interface SourceChartFlags extends CreateFlags {
  source?: string;
  chart?: string;
  chartVersion?: string;
  reconcileStrategy?: HelmChartSpec['reconcileStrategy'];
  valuesFile?: string[];
  verifyProvider?: 'cosign' | 'notation';
  verifySecretRef?: string;
  verifyIssuer?: string;
  verifySubject?: string;
}

/** Adds the command. */
export function registerCreateSourceChart(source: Command, createObjects: CreateObjects): void {
  const command = source
    .command('chart')
    .description('make or change a HelmChart, and wait until the chart is stored')
    .argument('<name>', 'its name')
    .option('--source <kind/name>', 'where it comes from: HelmRepository, GitRepository or Bucket')
    .option('--chart <name-or-path>', 'its name in the repository, or its path in the source')
    .option('--chart-version <range>', 'version or range of versions; for a HelmRepository only')
    .addOption(
      new Option('--reconcile-strategy <strategy>', 'what makes a new artifact')
        .choices(['ChartVersion', 'Revision'])
        .default('ChartVersion'),
    )
    .option('--values-file <paths>', 'files in place of its values.yaml; several, or separated by commas', collect)
    .addOption(new Option('--verify-provider <tool>', 'what has signed').choices(['cosign', 'notation']))
    .option('--verify-secret-ref <name>', 'Secret with the keys or certificates to trust')
    .option('--verify-issuer <expression>', 'issuer of the identity that has signed')
    .option('--verify-subject <expression>', 'subject of the identity that has signed')
    .action(async (name: string, flags: SourceChartFlags) => {
      checkNames(kinds.HelmChart, [name]);
      await createObjects(kinds.HelmChart, [helmChartFromFlags(name, flags)], flags);
    });
  addCreateFlags(command);
}

const sourceKinds = ['HelmRepository', 'GitRepository', 'Bucket'] as const;

/** Throws a usage error that names the flag that is missing or wrong. */
export function helmChartFromFlags(name: string, flags: SourceChartFlags): KubeObject {
  const [given, sourceName, ...rest] = (flags.source ?? '').split('/');
  const kind = sourceKinds.find((one) => one.toLowerCase() === given?.toLowerCase());
  if (!kind || !sourceName || rest.length > 0) {
    throw usageError(`--source: expected "<kind>/<name>" with one of the kinds ${sourceKinds.join(', ')}`);
  }
  if (!flags.chart) throw usageError('--chart is missing: expected the name of a chart, or its path in the source');
  const spec: Partial<HelmChartSpec> = {
    interval: flags.interval,
    chart: flags.chart,
    ...(flags.chartVersion && { version: flags.chartVersion }),
    sourceRef: { kind, name: sourceName },
    ...(flags.reconcileStrategy && { reconcileStrategy: flags.reconcileStrategy }),
    ...(flags.valuesFile && { valuesFiles: flags.valuesFile }),
    ...verificationOf(flags),
  };
  return objectOf(kinds.HelmChart, name, flags, spec);
}

function verificationOf(flags: SourceChartFlags): Pick<HelmChartSpec, 'verify'> | undefined {
  const { verifyProvider: provider, verifySecretRef: secret, verifyIssuer: issuer, verifySubject: subject } = flags;
  if (!provider) {
    if (secret || issuer || subject) throw usageError('--verify-provider is missing: expected cosign or notation');
    return undefined;
  }
  if ((issuer === undefined) !== (subject === undefined)) {
    throw usageError('expected both of --verify-issuer and --verify-subject');
  }
  return {
    verify: {
      provider,
      ...(secret && { secretRef: { name: secret } }),
      ...(issuer && subject ? { matchOIDCIdentity: [{ issuer, subject }] } : {}),
    },
  };
}
