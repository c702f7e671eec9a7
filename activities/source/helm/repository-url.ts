// Addresses of Helm repositories and of the charts in them. Pure.

/**
 * The one spelling of a repository's address: credentials, query and fragment gone, HTTP with a `/` at its end, OCI
 * without one. Throws an `Error` for what is no http, https or oci address.
 */
export function normalizeRepositoryUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !['http:', 'https:', 'oci:'].includes(url.protocol) || url.hostname === '') {
    throw new Error('expected an address such as "https://<host>/<path>" or "oci://<host>/<path>"');
  }
  const path = url.pathname.replace(/\/+$/, '');
  return url.protocol === 'oci:' ? `oci://${url.host}${path}` : `${url.protocol}//${url.host}${path}/`;
}

/**
 * Where a chart is: `reference`, as the index has it, against the address of the repository. The repository's query (a
 * token of some servers) goes with references that are relative. Throws an `Error` for anything but http and https.
 */
export function chartUrl(repositoryUrl: string, reference: string): string {
  const base = new URL(repositoryUrl);
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  const isAbsolute = URL.canParse(reference);
  if (!isAbsolute && !URL.canParse(reference, base.href)) throw new Error('the index names an address that is none');
  const url = isAbsolute ? new URL(reference) : new URL(reference, base);
  if (!isAbsolute && base.search) url.search = base.search;
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new Error(`the index names an address with "${url.protocol}", expected "https:" or "http:"`);
  }
  return url.href;
}
