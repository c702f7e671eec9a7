// How large an index, a chart and a file in a chart may be (contract 7: --helm-index-max-size and the like).

export interface HelmLimits {
  indexBytes: number;
  /** Of a packaged chart. */
  chartBytes: number;
  /** Of one file in a chart, and of a values file. */
  chartFileBytes: number;
}

const mebibyte = 1024 * 1024;

/** Those of Flux and Helm. */
export const defaultHelmLimits: HelmLimits = {
  indexBytes: 50 * mebibyte,
  chartBytes: 10 * mebibyte,
  chartFileBytes: 5 * mebibyte,
};

const options: Record<keyof HelmLimits, string> = {
  indexBytes: 'CONTINUO_HELM_INDEX_MAX_MIB',
  chartBytes: 'CONTINUO_HELM_CHART_MAX_MIB',
  chartFileBytes: 'CONTINUO_HELM_CHART_FILE_MAX_MIB',
};

/** What messages say of something over a limit: `larger than the 10 MiB allowed (CONTINUO_HELM_CHART_MAX_MIB)`. */
export function overLimit(limits: HelmLimits, which: keyof HelmLimits): string {
  return `larger than the ${limits[which] / mebibyte} MiB allowed (${options[which]})`;
}
