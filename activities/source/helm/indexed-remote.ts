// Charts of a repository with an index, over HTTP.
import { createHash } from 'node:crypto';
import { failure, messageOf } from '../../errors.ts';
import type { ChartIndex, IndexedChart } from './chart-index.ts';
import { type ChartRemote, invalidReference, nameOfChart, pullError, selectChart } from './chart-remote.ts';
import { type HelmLimits, overLimit } from './helm-limits.ts';
import { versionsOfChart } from './index-cache.ts';
import { maxProvenanceBytes, verifyProvenance } from './provenance.ts';
import type { RepositoryAccess } from './repository-access.ts';
import { download } from './repository-download.ts';
import { chartUrl } from './repository-url.ts';

/**
 * A server with an index; `index` is asked for once a call of `find`. Charts are verified by the provenance file beside
 * them, with the OpenPGP keys in the Secret of spec.verify.
 */
export function createIndexedRemote(
  access: RepositoryAccess,
  index: (signal: AbortSignal) => Promise<ChartIndex>,
  limits: HelmLimits,
): ChartRemote {
  async function pull(chart: IndexedChart, signal: AbortSignal): Promise<Uint8Array> {
    const what = `chart pull error: ${nameOfChart(chart)}`;
    const url = urlOf(access, chart);
    const [maxBytes, tooLarge] = [limits.chartBytes, overLimit(limits, 'chartBytes')];
    const downloaded = await download(access, { url, what, maxBytes, tooLarge, reason: 'ChartPullError', signal });
    const bytes = downloaded?.bytes ?? new Uint8Array();
    const digest = digestOfBytes(bytes);
    if (!chart.digest || chart.digest.toLowerCase() === digest) return bytes;
    throw pullError(
      `${nameOfChart(chart)} is not what the index promises: expected digest "sha256:${chart.digest}", got "sha256:${digest}"`,
    );
  }

  return {
    pull,

    async find(name, range, signal) {
      const read = await index(signal);
      const versions = versionsOfChart(read, name);
      if (versions) return selectChart(name, versions, range, 'index');
      throw invalidReference(unknownChart(name, read));
    },

    digestOf: async (chart, signal) => chart.digest ?? digestOfBytes(await pull(chart, signal)),

    async verify(chart, { verify, namespace, readSecret }, signal) {
      const subject = `chart verification error: ${nameOfChart(chart)}`;
      const secret = verify.secretRef?.name;
      if (verify.provider === 'notation' || !secret) {
        const next = 'name a Secret with OpenPGP keys in spec.verify.secretRef, or remove spec.verify';
        const why = 'charts of a repository that is no registry are verified by their provenance files alone';
        throw failure('ChartVerificationError', `${subject}: ${why}: ${next}`);
      }
      const url = new URL(urlOf(access, chart));
      const fileName = decodeURIComponent(url.pathname.slice(url.pathname.lastIndexOf('/') + 1));
      url.pathname += '.prov';
      const provenance = await download(access, {
        url: url.href,
        what: `${subject}: its provenance file`,
        maxBytes: maxProvenanceBytes,
        tooLarge: `larger than the ${maxProvenanceBytes} bytes allowed`,
        reason: 'ChartVerificationError',
        signal,
        mayBeMissing: true,
      });
      return await verifyProvenance({
        chart: await pull(chart, signal),
        fileName,
        version: chart.version,
        provenance: provenance?.bytes,
        secretName: `${namespace}/${secret}`,
        secret: await readSecret(namespace, secret),
      });
    },
  };
}

function digestOfBytes(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function urlOf({ url }: RepositoryAccess, chart: IndexedChart): string {
  const [reference] = chart.urls;
  if (reference === undefined) throw pullError(`${nameOfChart(chart)} has no address in the index`);
  try {
    return chartUrl(url, reference);
  } catch (error) {
    throw pullError(`${nameOfChart(chart)}: ${messageOf(error)}`, error);
  }
}

function unknownChart(name: string, { charts }: ChartIndex): string {
  const shown = [...charts.keys()].sort().slice(0, 5);
  const has = shown.length > 0 ? `it has ${shown.map((one) => `'${one}'`).join(', ')}` : 'it is empty';
  const more = charts.size > shown.length ? ` and ${charts.size - shown.length} more` : '';
  return `no chart '${name}' is in the index of the repository: ${has}${more}`;
}
