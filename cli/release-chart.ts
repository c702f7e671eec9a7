// The chart of a release for a person who looks at it: the artifact that the cluster has, or a directory of their disk.
import { execFile } from 'node:child_process';
import { copyFile, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Artifact } from '../activities/artifact/artifact.ts';
import { downloadArtifact } from '../activities/artifact/download.ts';
import { packArchive } from '../activities/artifact/pack-archive.ts';
import { readTar } from '../activities/artifact/tar-reader.ts';
import { messageOf } from '../activities/errors.ts';
import { createChartFiles, type LoadedChart } from '../activities/helm/chart-file.ts';
import { kinds } from '../k8s/api/index.ts';
import type { HelmRelease } from '../k8s/api/helm-release.ts';
import type { KubeClient } from '../k8s/client.ts';
import { CommandError, usageError } from './exit.ts';
import { readObject, subjectOfObject } from './objects.ts';

export interface LoadChartRequest {
  release: HelmRelease;
  kube: KubeClient;
  /** The binary. */
  helm: string;
  /** Private; the chart lies in it. */
  workDirectory: string;
  /** In place of the artifact. */
  chartDirectory?: string;
  /** `host[:port]` in place of the one in the artifact's URL. */
  artifactAddress?: string;
  signal: AbortSignal;
  /** Takes a line for a person. */
  report(line: string): void;
}

const downloadTimeoutMs = 20_000;
const packageTimeoutMs = 60_000;

/** Fails with the reasons of a worker, or with a {@link CommandError} that says what to do. */
export async function loadReleaseChart(request: LoadChartRequest): Promise<LoadedChart> {
  const { kube, release, helm, workDirectory, chartDirectory, artifactAddress, signal } = request;
  const packaged = chartDirectory && (await packageChart(helm, chartDirectory, join(workDirectory, 'package'), signal));
  const charts = createChartFiles({
    directory: join(workDirectory, 'charts'),
    readTar,
    packArchive,
    async download(artifact, path, aborted) {
      if (packaged) return await copyFile(packaged, path);
      const options = { hostRewrite: artifactAddress, timeoutMs: downloadTimeoutMs, retries: 1 };
      await downloadArtifact(artifact, path, options, aborted);
    },
  });
  if (packaged) {
    const { valuesFiles = [] } = release.spec.chart?.spec ?? {};
    if (valuesFiles.length > 0) {
      request.report(
        '► spec.chart.spec.valuesFiles are not merged into the chart of a directory: give them with --values',
      );
    }
    const artifact = { digest: '', url: '', revision: chartDirectory };
    return await charts.load({ kind: 'HelmChart', artifact }, signal);
  }
  const { kind, artifact } = await chartArtifact(kube, release);
  return await charts.load({ kind, artifact }, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw new CommandError(
      `${messageOf(error)}: where the artifact server cannot be reached from here, forward a port to it and name that ` +
        'with --artifact-address, or give the directory of the chart with --path',
    );
  });
}

/** Packages a directory as a source would; dependencies have to lie in its `charts` folder. Gives the path. */
async function packageChart(helm: string, chart: string, to: string, signal: AbortSignal): Promise<string> {
  await mkdir(to);
  // Without the configuration of the person, so that no repository of theirs is asked.
  const env = { PATH: process.env['PATH'], HOME: to, HELM_CACHE_HOME: to, HELM_CONFIG_HOME: to, HELM_DATA_HOME: to };
  try {
    await promisify(execFile)(helm, ['package', chart, '--destination', to], {
      env,
      signal,
      timeout: packageTimeoutMs,
    });
  } catch (error) {
    signal.throwIfAborted();
    const { stderr = '' } = error as { stderr?: string };
    throw usageError(`--path "${chart}" holds no chart: ${stderr.trim().replace(/^Error: /, '') || messageOf(error)}`);
  }
  const name = (await readdir(to)).find((file) => file.endsWith('.tgz')) ?? '';
  return join(to, name);
}

/** The artifact of the object that `spec.chart` or `spec.chartRef` leads to (contract 2.2, step 6). */
async function chartArtifact(kube: KubeClient, object: HelmRelease): Promise<{ kind: string; artifact: Artifact }> {
  const { metadata, spec } = object;
  const own = metadata.namespace ?? '';
  const { kind, namespace, name } = spec.chartRef
    ? { namespace: own, ...spec.chartRef }
    : {
        kind: 'HelmChart' as const,
        namespace: spec.chart?.spec.sourceRef.namespace ?? own,
        name: `${own}-${metadata.name}`,
      };
  const source = await readObject(kube, kinds[kind], namespace, name);
  const { artifact } = (source.status ?? {}) as { artifact?: Artifact };
  if (artifact) return { kind, artifact };
  throw new CommandError(
    `${subjectOfObject(source)} has no artifact yet: see "continuo get ${kind.toLowerCase()} ${name} -n ${namespace}", ` +
      'or give the directory of the chart with --path',
  );
}
