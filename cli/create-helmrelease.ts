// The HelmRelease that `continuo create helmrelease` makes of its flags. Pure.
import { kinds } from '../k8s/api/index.ts';
import type { HelmReleaseSpec, ValuesRef } from '../k8s/api/helm-release.ts';
import type { KubeObject } from '../k8s/object.ts';
import { parse } from 'yaml';
import { type CreateFlags, objectOf, parseDependency, parseDotted } from './create-flags.ts';
import { usageError } from './exit.ts';
import { kindOf } from './kinds.ts';

export interface HelmReleaseFlags extends CreateFlags {
  source?: string;
  chart?: string;
  chartVersion?: string;
  chartInterval?: string;
  chartRef?: string;
  reconcileStrategy?: 'ChartVersion' | 'Revision';
  releaseName?: string;
  targetNamespace?: string;
  createTargetNamespace?: boolean;
  storageNamespace?: string;
  dependsOn?: string[];
  crds?: 'Skip' | 'Create' | 'CreateReplace';
  valuesFrom?: string[];
  serviceAccount?: string;
  kubeconfigSecretRef?: string;
}

/** A values file that was read: its path for messages, and its text. */
export interface ValuesFile {
  path: string;
  text: string;
}

const chartSourceKinds = ['HelmRepository', 'GitRepository', 'Bucket'] as const;
const chartRefKinds = ['OCIRepository', 'HelmChart', 'ExternalArtifact'] as const;
const valuesKinds = ['ConfigMap', 'Secret'] as const;

/** Throws a usage error that names the flag whose value is wrong. */
export function helmReleaseFromFlags(
  name: string,
  flags: HelmReleaseFlags,
  files: readonly ValuesFile[] = [],
): KubeObject {
  const values = mergeFiles(files);
  const storageNamespace = flags.storageNamespace ?? flags.targetNamespace;
  const spec: Partial<HelmReleaseSpec> = {
    interval: flags.interval,
    ...chartOf(flags),
    ...(flags.releaseName && { releaseName: flags.releaseName }),
    ...(flags.targetNamespace && { targetNamespace: flags.targetNamespace }),
    ...(storageNamespace && { storageNamespace }),
    ...(flags.dependsOn && { dependsOn: flags.dependsOn.map((text) => parseDependency(text, 'HelmRelease')) }),
    // As the flux CLI has it: the policy is that of upgrades, and what is new is created in any case.
    ...((flags.createTargetNamespace || flags.crds) && {
      install: { ...(flags.createTargetNamespace && { createNamespace: true }), ...(flags.crds && { crds: 'Create' }) },
    }),
    ...(flags.crds && { upgrade: { crds: flags.crds } }),
    ...(flags.valuesFrom && { valuesFrom: flags.valuesFrom.map(valuesRefOf) }),
    ...(Object.keys(values).length > 0 && { values }),
    ...(flags.serviceAccount && { serviceAccountName: flags.serviceAccount }),
    ...(flags.kubeconfigSecretRef && { kubeConfig: { secretRef: { name: flags.kubeconfigSecretRef } } }),
  };
  if (flags.createTargetNamespace && !flags.targetNamespace) {
    throw usageError('--create-target-namespace is for a target: give --target-namespace as well');
  }
  return objectOf(kinds.HelmRelease, name, flags, spec);
}

function chartOf(flags: HelmReleaseFlags): Pick<HelmReleaseSpec, 'chart' | 'chartRef'> {
  if (flags.chartRef !== undefined) {
    const given = flags.chart ?? flags.source ?? flags.chartVersion;
    if (given !== undefined)
      throw usageError('--chart-ref names the chart: give no --chart, --source or --chart-version');
    return { chartRef: reference('--chart-ref', flags.chartRef, chartRefKinds) };
  }
  if (!flags.chart) throw usageError('--chart is missing: give --chart and --source, or --chart-ref');
  if (!flags.source) throw usageError('--source is missing: expected "<kind>/<name>" such as "HelmRepository/podinfo"');
  const { chart, chartVersion, chartInterval, reconcileStrategy } = flags;
  return {
    chart: {
      spec: {
        chart,
        ...(chartVersion && { version: chartVersion }),
        sourceRef: reference('--source', flags.source, chartSourceKinds),
        ...(chartInterval && { interval: chartInterval }),
        ...(reconcileStrategy && { reconcileStrategy }),
      } as NonNullable<HelmReleaseSpec['chart']>['spec'],
    },
  };
}

/** `<kind>/<name>[.<namespace>]`. */
function reference<Kind extends string>(
  flag: string,
  text: string,
  allowed: readonly Kind[],
): { kind: Kind; name: string; namespace?: string } {
  const slash = text.indexOf('/');
  const word = text.slice(0, Math.max(slash, 0));
  const kind = allowed.find((one) => one === kindOf(word)?.kind);
  if (!kind) {
    throw usageError(`${flag} "${text}": expected "<kind>/<name>[.<namespace>]" with a kind of ${allowed.join(', ')}`);
  }
  return { kind, ...parseDotted(text.slice(slash + 1), flag, text) };
}

/** `<kind>/<name>`, and `<kind>/<name>/<key>` for another key than `values.yaml`. */
function valuesRefOf(text: string): ValuesRef {
  const [word = '', name, valuesKey, ...more] = text.split('/');
  const kind = valuesKinds.find((one) => one.toLowerCase() === word.toLowerCase());
  if (!kind || !name || valuesKey === '' || more.length > 0) {
    throw usageError(
      `--values-from "${text}": expected "ConfigMap/<name>" or "Secret/<name>", with "/<key>" if it is not values.yaml`,
    );
  }
  return { kind, name, ...(valuesKey && { valuesKey }) };
}

type Values = Record<string, unknown>;

/** Later files win; maps merge. */
function mergeFiles(files: readonly ValuesFile[]): Values {
  let values: Values = {};
  for (const { path, text } of files) {
    let read: unknown;
    try {
      read = parse(text) ?? {};
    } catch (error) {
      throw usageError(`--values "${path}" is no valid YAML: ${(error as Error).message.split('\n')[0]}`);
    }
    if (!isMap(read)) throw usageError(`--values "${path}": expected a YAML mapping`);
    values = merge(values, read);
  }
  return values;
}

function merge(base: Values, over: Values): Values {
  const merged = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const known = merged[key];
    merged[key] = isMap(known) && isMap(value) ? merge(known, value) : value;
  }
  return merged;
}

function isMap(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
