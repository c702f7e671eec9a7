// Charts in a registry, as a HelmRepository of type `oci` names it: each is a repository of its own below the path.
import { failure } from '../../errors.ts';
import type { RegistryAccess } from '../oci/registry-access.ts';
import { RegistryError } from '../oci/registry-error.ts';
import { verifyOciArtifact } from '../oci/verify/verify-oci-artifact.ts';
import type { IndexedChart } from './chart-index.ts';
import { type ChartRemote, nameOfChart, pullError, selectChart } from './chart-remote.ts';
import { isExactVersion } from './chart-version.ts';
import { type HelmLimits, overLimit } from './helm-limits.ts';

const chartLayer = 'application/vnd.cncf.helm.chart.content.v1.tar+gzip';

export function createOciRemote({ client, host, repository }: RegistryAccess, limits: HelmLimits): ChartRemote {
  const pathOf = (name: string): string => [repository, name].filter((part) => part !== '').join('/');
  const placeOf = (chart: IndexedChart): string => `${nameOfChart(chart)} in '${host}/${pathOf(chart.name)}'`;
  return {
    async find(name, range, signal) {
      const versionOf = (tag: string): IndexedChart => ({ name, version: tag.replaceAll('_', '+'), urls: [] });
      if (isExactVersion(range)) return versionOf(range); // which needs no list of all
      let tags: string[];
      try {
        tags = await client.tags(pathOf(name), signal);
      } catch (error) {
        throw failed(`the tags of '${host}/${pathOf(name)}' cannot be listed`, error);
      }
      const versions = tags.map(versionOf).filter(({ version }) => isExactVersion(version));
      return selectChart(name, versions, range, 'registry');
    },

    async digestOf(chart, signal) {
      try {
        return (await client.resolve(pathOf(chart.name), tagOf(chart), signal)).digest;
      } catch (error) {
        throw failed(placeOf(chart), error);
      }
    },

    verify: (chart, check, signal) =>
      verifyOciArtifact({
        ...check,
        client,
        repository: pathOf(chart.name),
        digest: chart.digest,
        signal,
        subject: nameOfChart(chart),
        reason: 'ChartVerificationError',
      }),

    async pull(chart, signal) {
      const path = pathOf(chart.name);
      try {
        const { manifest } = await client.manifest(path, chart.digest ?? tagOf(chart), signal);
        const layer = manifest.layers?.find(({ mediaType }) => mediaType === chartLayer);
        if (!layer) throw pullError(`${placeOf(chart)} is no Helm chart: it has no layer of type "${chartLayer}"`);
        if (layer.size > limits.chartBytes) throw pullError(`${placeOf(chart)} is ${overLimit(limits, 'chartBytes')}`);
        const chunks: Uint8Array[] = [];
        for await (const chunk of client.blob(path, layer.digest, signal, limits.chartBytes)) chunks.push(chunk);
        return Buffer.concat(chunks);
      } catch (error) {
        throw failed(placeOf(chart), error);
      }
    },
  };
}

/** Tags have no `+`. */
function tagOf({ version }: IndexedChart): string {
  return version.replaceAll('+', '_');
}

function failed(what: string, error: unknown): unknown {
  if (!(error instanceof RegistryError)) return error;
  const reason = error.problem === 'authentication' ? 'AuthenticationFailed' : 'ChartPullError';
  const message = `chart pull error: ${what}: ${error.message}`;
  return failure(reason, message, { cause: error, retryInMs: error.retryAfterMs });
}
