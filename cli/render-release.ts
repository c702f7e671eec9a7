// Renders a Helm release as the next install or upgrade would, by the functions of a worker and the same helm: nothing is
// changed in the cluster, and nothing is stored.
import { mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runKustomize } from '../activities/build/kustomize.ts';
import { isReason, messageOf } from '../activities/errors.ts';
import { createApiGateway } from '../activities/helm/api-gateway.ts';
import type { LoadedChart } from '../activities/helm/chart-file.ts';
import { dryRunArgs } from '../activities/helm/command.ts';
import { chartCrdsOf } from '../activities/helm/crds.ts';
import { hiddenTextsOf } from '../activities/helm/hidden-texts.ts';
import { releaseNamesOf } from '../activities/helm/names.ts';
import { createPostRender, originLabelsOf } from '../activities/helm/post-render.ts';
import { objectsOf, placeObjects } from '../activities/helm/release-objects.ts';
import { createReleaseStorage, type ReadRelease } from '../activities/helm/release-storage.ts';
import { createHelm } from '../activities/helm/run-helm.ts';
import { composeValues, type Values } from '../activities/helm/values.ts';
import { mergeValues } from '../activities/helm/values-map.ts';
import { readValuesYaml } from '../activities/helm/values-yaml.ts';
import type { HelmRelease } from '../k8s/api/helm-release.ts';
import type { KubeClient } from '../k8s/client.ts';
import type { KubeObject } from '../k8s/object.ts';
import { ensureBinaries } from '../tools/platform/binaries.ts';
import { CommandError, usageError } from './exit.ts';
import { notingReferences } from './noting-references.ts';
import { subjectOfObject } from './objects.ts';
import { loadReleaseChart } from './release-chart.ts';
import { createSecretValues, type SecretValues } from './secret-values.ts';

export interface RenderReleaseRequest {
  release: HelmRelease;
  /** The cluster with the object, its chart and what its values come from. */
  kube: KubeClient;
  /** The cluster of the release, as its account. */
  target: KubeClient;
  /** A directory with the chart, in place of the artifact. */
  chartDirectory?: string;
  /** Files whose values are merged over those of the spec, in their order. */
  valuesFiles: readonly string[];
  /** `host[:port]` in place of the one in the artifact's URL. */
  artifactAddress?: string;
  signal: AbortSignal;
  /** Takes a line for a person. */
  report(line: string): void;
}

export interface RenderedRelease {
  /** What would be applied, each with its namespace; hooks are not in it. */
  objects: KubeObject[];
  /** CRDs of the chart that its policy would create or replace. */
  crds: KubeObject[];
  /** What is released now. */
  deployed: KubeObject[];
  /** Texts of Secrets, which may be anywhere in the objects. */
  secrets: SecretValues;
  /** `web@1.0.0`, or `web@1.0.0 → web@1.1.0`. */
  from: string;
}

const helmTimeoutMs = 5 * 60_000;
const kustomizeTimeoutMs = 60_000;
const maxOutputBytes = 32 * 1024 * 1024;

/** Throws a {@link CommandError} with the reason and the message that the condition would have. */
export async function renderRelease(request: RenderReleaseRequest): Promise<RenderedRelease> {
  // Values lie here for the time of the run.
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'continuo-')));
  try {
    return await renderIn(request, directory);
  } catch (error) {
    request.signal.throwIfAborted();
    if (error instanceof CommandError) throw error;
    const { type } = error as { type?: unknown };
    const reason = isReason(type) ? ` (${type})` : '';
    throw new CommandError(`${subjectOfObject(request.release)} would fail${reason}: ${messageOf(error)}`);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function renderIn(request: RenderReleaseRequest, directory: string): Promise<RenderedRelease> {
  const { kube, target, signal, report, release: object } = request;
  const names = releaseNamesOf(object);
  const { helm } = await ensureBinaries(['helm'], { report, signal });
  const secrets = createSecretValues();
  const references = notingReferences(kube, secrets);
  const release = await withValuesFiles(object, request.valuesFiles);
  const values = await composeValues(release, references);
  const hidden = await hiddenTextsOf(release, references);
  for (const text of hidden) secrets.add(text);
  const chart = await loadReleaseChart({ ...request, helm, workDirectory: directory });

  const storage = createReleaseStorage({ client: target, namespace: names.storageNamespace });
  const stored = await storage.last(names.releaseName, signal);
  const isInstalled = stored !== undefined && stored.release.info.status !== 'uninstalled';
  const manifest = await dryRun({ ...request, release }, { helm, directory, chart, values, hidden, isInstalled });
  const place = (objects: KubeObject[]): Promise<KubeObject[]> => placeObjects(objects, names.namespace, target);
  return {
    objects: await place(objectsOf(manifest)),
    crds: await wantedCrds(request, chart, values, isInstalled),
    deployed: isInstalled ? await place(objectsOf(stored.release.manifest ?? '')) : [],
    secrets,
    from: chartChange(isInstalled ? stored : undefined, chart),
  };
}

interface DryRun {
  helm: string;
  directory: string;
  chart: LoadedChart;
  values: Values;
  hidden: string[];
  isInstalled: boolean;
}

/** The manifest that helm makes, after the post-renderers. */
async function dryRun(request: RenderReleaseRequest, run: DryRun): Promise<string> {
  const { release: object, target, signal } = request;
  const { directory, isInstalled } = run;
  const names = releaseNamesOf(object);
  const gateway = createApiGateway();
  try {
    const opened = await gateway.open({ client: target, ...names, attempt: 'dry-run' });
    const { error, output } = await createHelm({ binary: run.helm, temporaryDirectory: directory }).run({
      args: dryRunArgs({ spec: object.spec, names, isInstalled }),
      server: opened.server,
      namespace: names.namespace,
      chart: run.chart.path,
      values: run.values,
      postRender: createPostRender(object, {
        kustomize: kustomizeOf(request, directory),
        temporaryDirectory: directory,
      }),
      timeoutMs: helmTimeoutMs,
      signal,
      hidden: run.hidden,
      isOutputWanted: true,
    });
    if (error === undefined) return (JSON.parse(output) as { manifest?: string }).manifest ?? '';
    const reason = isInstalled ? 'UpgradeFailed' : 'InstallFailed';
    throw new CommandError(`${subjectOfObject(object)} would fail (${reason}): ${error}`);
  } finally {
    await gateway.close();
  }
}

function kustomizeOf({ report }: RenderReleaseRequest, home: string) {
  return async (directory: string, signal: AbortSignal): Promise<string> => {
    const { kustomize } = await ensureBinaries(['kustomize'], { report, signal });
    return await runKustomize({
      binary: kustomize,
      directory,
      target: '.',
      home,
      restrictor: 'root',
      timeoutMs: kustomizeTimeoutMs,
      maxOutputBytes,
      signal,
    });
  };
}

async function withValuesFiles(object: HelmRelease, files: readonly string[]): Promise<HelmRelease> {
  let values = (object.spec.values ?? {}) as Values;
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw usageError(`--values "${file}" cannot be read (${error.code ?? error.message})`);
    });
    try {
      values = mergeValues(values, readValuesYaml(text));
    } catch (error) {
      throw usageError(`--values "${file}" holds no values: ${messageOf(error)}`);
    }
  }
  return { ...object, spec: { ...object.spec, values } };
}

/** The CRDs of the chart that would be applied, as its policy has it (contract 1.9, `crds`). */
async function wantedCrds(
  { release, target, signal }: RenderReleaseRequest,
  chart: LoadedChart,
  values: Values,
  isInstalled: boolean,
): Promise<KubeObject[]> {
  const policy = (isInstalled ? release.spec.upgrade?.crds : release.spec.install?.crds) ?? 'Create';
  if (policy === 'Skip') return [];
  const labels = originLabelsOf(release);
  const wanted: KubeObject[] = [];
  for (const crd of chartCrdsOf(chart, values).crds) {
    const ref = {
      group: 'apiextensions.k8s.io',
      version: 'v1',
      kind: crd.kind,
      namespace: '',
      name: crd.metadata.name,
    };
    if (policy === 'Create' && (await target.get(ref, { metadataOnly: true, signal }))) continue;
    wanted.push({ ...crd, metadata: { ...crd.metadata, labels: { ...crd.metadata.labels, ...labels } } });
  }
  return wanted;
}

function chartChange(stored: ReadRelease | undefined, { name, version }: LoadedChart): string {
  const after = `${name}@${version}`;
  const { metadata } = stored?.release.chart ?? {};
  const before = metadata && `${metadata.name}@${metadata.version}`;
  return before && before !== after ? `${before} → ${after}` : after;
}
