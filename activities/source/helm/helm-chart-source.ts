// HelmChart: the version that the spec selects, pulled from its repository, or packaged out of the files of a Git
// repository or a bucket (contract 1.4). A chart whose source has not moved costs a look at that source's status.
import type { HelmChart } from '../../../k8s/api/helm-chart.ts';
import type { HelmRepository } from '../../../k8s/api/helm-repository.ts';
import { isStatic } from '../../../k8s/static-objects.ts';
import { type NamespacedName, refOf } from '../../../k8s/object.ts';
import type { Artifact, ArtifactStore, UnpackedArtifact, UnpackedArtifacts } from '../../artifact/artifact.ts';
import { failure, messageOf } from '../../errors.ts';
import type { SecretData } from '../http/tls-secret.ts';
import type { PublicRoot } from '../oci/verify/public-root.ts';
import type { ArchivedRevision, FetchedRevision, SourceDriver, SourceObject } from '../source-driver.ts';
import { isStored } from '../stored.ts';
import { type BuiltChart, currentArtifact, reasonOf, summaryOf, versionMetadataOf } from './chart-build.ts';
import { buildDependencies } from './chart-dependencies.ts';
import { type Chart, packageFiles, readChart } from './chart.ts';
import { readChartArchive } from './chart-files.ts';
import type { IndexedChart } from './chart-index.ts';
import { type HelmYaml, readChartMetadata, withBuildMetadata } from './chart-metadata.ts';
import { type ChartRemote, invalidReference, pullError } from './chart-remote.ts';
import type { ChartRepositories } from './chart-repositories.ts';
import { isExactVersion } from './chart-version.ts';
import { defaultHelmLimits, type HelmLimits } from './helm-limits.ts';
import { type LocalChart, pathInSource, readLocalChart, readSourceFile } from './local-charts.ts';
import { mergeValuesFiles } from './values-files.ts';

/** What the driver needs from outside. */
export interface HelmChartSourceDeps {
  store: ArtifactStore;
  repositories: ChartRepositories;
  unpacked: Pick<UnpackedArtifacts, 'get'>;
  yaml: HelmYaml;
  readSecret(namespace: string, name: string): Promise<SecretData>;
  publicRoot: PublicRoot;
  /** @default those of Flux */
  limits?: HelmLimits;
  /** The live source; undefined when it does not exist. */
  source(kind: HelmChart['spec']['sourceRef']['kind'], ref: NamespacedName): Promise<SourceObject | undefined>;
}

/** What a HelmChart is made from. */
interface ChartOrigin {
  source: SourceObject;
  /** Undefined for a registry, which has none. */
  artifact: Artifact | undefined;
}

export function createHelmChartSource(deps: HelmChartSourceDeps): SourceDriver<HelmChart> {
  const { store, yaml, repositories, limits = defaultHelmLimits } = deps;

  async function originOf(object: HelmChart): Promise<ChartOrigin> {
    const { kind, name } = object.spec.sourceRef;
    const { namespace } = refOf(object);
    if (!['HelmRepository', 'GitRepository', 'Bucket'].includes(kind)) {
      throw failure('UnsupportedSourceKind', `spec.sourceRef is of kind "${kind}", which cannot hold charts`);
    }
    const source = await deps.source(kind, { namespace, name });
    if (!source) {
      const message = `${kind} "${namespace}/${name}" does not exist: create it, or mend spec.sourceRef`;
      throw failure('SourceUnavailable', `failed to get source: ${message}`);
    }
    const { artifact } = source.status ?? {};
    if (!artifact && !isStatic(source)) {
      throw failure('NoSourceArtifact', `no artifact available for ${kind} source '${name}'`);
    }
    return { source, artifact: isStatic(source) ? undefined : artifact };
  }

  /** What to publish, with what the archive stage needs to find it again. */
  async function look(
    object: HelmChart,
    origin: ChartOrigin,
    signal: AbortSignal,
  ): Promise<BuiltChart & { found?: IndexedChart }> {
    const { spec } = object;
    const metadata = versionMetadataOf(object, origin.artifact?.revision);
    const hasValuesFiles = (spec.valuesFiles ?? []).length > 0;
    if (spec.sourceRef.kind === 'HelmRepository') {
      const remote = await repositories.of(origin.source as HelmRepository, signal);
      const found = await remote.find(spec.chart, spec.version, signal);
      const { name } = found;
      return { name, version: patched(found.version, metadata), isPackaged: hasValuesFiles, valuesFiles: [], found };
    }
    const local = await localChart(object, origin, signal);
    const { name, version } = metadataOf(object, local, yaml);
    const isPackaged = !local.archive || metadata !== '' || hasValuesFiles;
    return { name, version: patched(version, metadata), isPackaged, valuesFiles: [] };
  }

  async function localChart(object: HelmChart, { artifact }: ChartOrigin, signal: AbortSignal): Promise<LocalChart> {
    const path = pathInSource(object.spec.chart);
    let local: LocalChart | undefined;
    try {
      local = await readLocalChart(await unpack(artifact, signal), path, limits);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Error && error.name === 'ApplicationFailure') throw error;
      throw invalidReference(`'${object.spec.chart}': ${messageOf(error)}`);
    }
    if (local) return local;
    throw invalidReference(`nothing is at '${object.spec.chart}' in ${originName(object)}: check spec.chart`);
  }

  async function unpack(artifact: Artifact | undefined, signal: AbortSignal): Promise<UnpackedArtifact> {
    try {
      return await deps.unpacked.get(artifact as Artifact, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw failure('ReadOperationFailed', `the source's artifact cannot be read: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** From its files to the chart as it is to be packaged. */
  async function assemble(
    object: HelmChart,
    built: BuiltChart,
    local: LocalChart,
    source: UnpackedArtifact | undefined,
    signal: AbortSignal,
  ): Promise<{ chart: Chart; valuesFiles: string[] }> {
    const { spec } = object;
    let chart: Chart;
    try {
      chart = await readChart(local.files, yaml, limits);
    } catch (error) {
      throw failure('ChartPackageError', `chart package error: chart '${built.name}': ${messageOf(error)}`);
    }
    chart.metadata.version = built.version;
    const wanted = spec.valuesFiles ?? [];
    const valuesFiles: string[] = [];
    if (wanted.length > 0) {
      const read = async (path: string): Promise<Uint8Array | undefined> =>
        source ? await readSourceFile(source, pathInSource(path), limits) : local.files.get(pathInSource(path));
      const merged = await mergeValuesFiles(wanted, spec.ignoreMissingValuesFiles ?? false, read, yaml, limits);
      if (merged.files.length > 0) chart.files.set('values.yaml', Buffer.from(merged.text));
      valuesFiles.push(...merged.files);
    }
    if (source && !local.archive) {
      const { namespace } = refOf(object);
      const remotes = new Map<string, Promise<ChartRemote>>();
      const remote = (url: string): Promise<ChartRemote> => {
        const opened = remotes.get(url) ?? repositories.at(url, namespace, signal);
        remotes.set(url, opened);
        return opened;
      };
      await buildDependencies(
        chart,
        {
          yaml,
          limits,
          chartPath: pathInSource(spec.chart),
          local: async (path) => (await readLocalChart(source, path, limits))?.files,
          remote,
        },
        signal,
      );
    }
    return { chart, valuesFiles };
  }

  return {
    async fetch(object, signal) {
      const origin = await originOf(object);
      if (await isAsBefore(store, object, origin))
        return { revision: object.status?.artifact?.revision ?? '', isUnchanged: true };
      const { version, found } = await look(object, origin, signal);
      const fetched: FetchedRevision = { revision: version, isUnchanged: false };
      if (!object.spec.verify) return fetched;
      if (!found) return fetched; // refused by the API server: files have no signatures
      const remote = await repositories.of(origin.source as HelmRepository, signal);
      return { ...fetched, needsVerification: true, found: { digest: await remote.digestOf(found, signal) } };
    },

    async verify(object, fetched, signal) {
      const { spec } = object;
      const origin = await originOf(object);
      const remote = await repositories.of(origin.source as HelmRepository, signal);
      if (!spec.verify) return { message: '', isIgnored: true }; // taken out of the spec meanwhile
      const chart = pinned(await remote.find(spec.chart, spec.version, signal), fetched);
      const { readSecret, publicRoot } = deps;
      const check = { verify: spec.verify, namespace: refOf(object).namespace, readSecret, publicRoot };
      return await remote.verify({ ...chart, digest: chart.digest ?? '' }, check, signal);
    },

    async archive(object, fetched, signal) {
      const origin = await originOf(object);
      const built = await look(object, origin, signal);
      const current = currentArtifact(object, built);
      if (current && (await isStored(store, object, built.version))) {
        return archived(
          object,
          origin,
          { ...built, valuesFiles: object.status?.observedValuesFiles ?? [] },
          current,
          0,
        );
      }
      const owner = { kind: object.kind, ...nameOf(object) };
      const fileName = `${built.name}-${built.version}.tgz`;
      let local: LocalChart;
      let source: UnpackedArtifact | undefined;
      if (built.found) {
        const remote: ChartRemote = await repositories.of(origin.source as HelmRepository, signal);
        local = await pulled(await remote.pull(pinned(built.found, fetched), signal), built.found, yaml, limits);
      } else {
        source = await unpack(origin.artifact, signal);
        local = await localChart(object, origin, signal);
      }
      let artifact: Artifact;
      let valuesFiles: string[] = [];
      let fileCount = 1;
      if (local.archive && !built.isPackaged) {
        artifact = await store.publishContent(owner, fileName, built.version, once(local.archive));
      } else {
        const assembled = await assemble(object, built, local, source, signal);
        ({ valuesFiles } = assembled);
        const files = packageFiles(assembled.chart, yaml);
        fileCount = files.length;
        artifact = await store.publish(owner, fileName, built.version, files);
      }
      const url = await store.link(owner, 'latest.tar.gz', artifact);
      return archived(object, origin, { ...built, valuesFiles }, artifact, fileCount, url);
    },
  };
}

function nameOf(object: HelmChart): NamespacedName {
  const { namespace, name } = refOf(object);
  return { namespace, name };
}

function originName({ spec: { sourceRef } }: HelmChart): string {
  return `${sourceRef.kind} '${sourceRef.name}'`;
}

/** Nothing has moved since the artifact was made: neither spec nor source, nor could a registry have something newer. */
async function isAsBefore(store: ArtifactStore, object: HelmChart, { artifact }: ChartOrigin): Promise<boolean> {
  const { status, metadata, spec } = object;
  if (!status?.artifact || status.observedGeneration !== metadata.generation) return false;
  const isSourceTheSame = artifact
    ? artifact.revision === status.observedSourceArtifactRevision
    : isExactVersion(spec.version) && status.observedSourceArtifactRevision === undefined;
  return isSourceTheSame && (await isStored(store, object, status.artifact.revision));
}

function patched(version: string, metadata: string): string {
  if (metadata === '') return version;
  try {
    return withBuildMetadata(version, metadata);
  } catch (error) {
    throw failure('MetadataPatchError', `chart metadata patch error: ${messageOf(error)}`);
  }
}

function metadataOf(object: HelmChart, { files }: LocalChart, yaml: HelmYaml): { name: string; version: string } {
  const text = files.get('Chart.yaml');
  if (!text) throw invalidReference(`'${object.spec.chart}' in ${originName(object)} has no Chart.yaml`);
  try {
    return readChartMetadata(Buffer.from(text).toString('utf8'), yaml);
  } catch (error) {
    throw invalidReference(`'${object.spec.chart}' in ${originName(object)}: ${messageOf(error)}`);
  }
}

/** What was verified is what is pulled. */
function pinned(chart: IndexedChart, { found }: FetchedRevision): IndexedChart {
  return found?.['digest'] ? { ...chart, digest: found['digest'] } : chart;
}

/** A pulled package, once it is known to be the chart that was asked for. */
async function pulled(
  archive: Uint8Array,
  asked: IndexedChart,
  yaml: HelmYaml,
  limits: HelmLimits,
): Promise<LocalChart> {
  const subject = `chart '${asked.name}' version '${asked.version}'`;
  try {
    const files = await readChartArchive(archive, limits);
    const text = files.get('Chart.yaml');
    if (!text) throw new Error('it has no Chart.yaml');
    const { name, version } = readChartMetadata(Buffer.from(text).toString('utf8'), yaml);
    if (name !== asked.name || version.replace(/^v/, '') !== asked.version.replace(/^v/, '')) {
      throw new Error(`its Chart.yaml says it is '${name}' version '${version}'`);
    }
    return { files, archive };
  } catch (error) {
    throw pullError(`${subject} is not usable: ${messageOf(error)}`, error);
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function archived(
  { status }: HelmChart,
  origin: ChartOrigin,
  built: BuiltChart,
  artifact: Artifact,
  fileCount: number,
  url = status?.url,
): ArchivedRevision {
  const summary = summaryOf(built);
  const revision = origin.artifact?.revision;
  return {
    artifact,
    isNew: artifact.digest !== status?.artifact?.digest,
    message: summary,
    conditionMessage: summary,
    conditionReason: reasonOf(built),
    fileCount,
    sizeBytes: artifact.size ?? 0,
    observed: {
      observedChartName: built.name,
      ...(revision === undefined ? {} : { observedSourceArtifactRevision: revision }),
      ...(built.valuesFiles.length > 0 ? { observedValuesFiles: [...built.valuesFiles] } : {}),
      ...(url === undefined ? {} : { url }),
    },
  };
}
