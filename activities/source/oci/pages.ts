// Paging of registries: `Link: <next>; rel="next"` (RFC 8288, as the distribution specification uses it).

const maxHeaderCharacters = 8192;

/**
 * Path and query of the next page; undefined on the last one. An address on another origin than that of this page is
 * not followed: nothing of a list can be elsewhere.
 */
export function nextPage(link: string | string[] | undefined, pageUrl: string): string | undefined {
  const text = Array.isArray(link) ? link.join(', ') : (link ?? '');
  if (text.length > maxHeaderCharacters) return undefined;
  for (const [, target = '', parameters = ''] of text.matchAll(/<([^<>]*)>([^<]*)/g)) {
    if (!/;\s*rel\s*=\s*"?next"?/i.test(parameters) || !URL.canParse(target, pageUrl)) continue;
    const url = new URL(target, pageUrl);
    if (url.origin !== new URL(pageUrl).origin) return undefined;
    return `${url.pathname}${url.search}`;
  }
  return undefined;
}
