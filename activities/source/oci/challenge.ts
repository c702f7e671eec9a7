// The `WWW-Authenticate` header of registries (RFC 9110, 11.6.1; Docker's token specification).

/** How a registry wants to be logged in to. */
export type Challenge =
  | { scheme: 'basic' }
  | { scheme: 'bearer'; realm: string; service: string | undefined; scope: string | undefined };

const maxHeaderCharacters = 8192;

/** The challenge to answer: Bearer before Basic; undefined when there is none of them, or one without a realm. */
export function parseChallenge(header: string | string[] | undefined): Challenge | undefined {
  const text = Array.isArray(header) ? header.join(', ') : (header ?? '');
  if (text.length > maxHeaderCharacters) return undefined;
  const challenges = split(text);
  for (const { scheme, parameters } of challenges) {
    const realm = parameters.get('realm');
    if (scheme === 'bearer' && realm) {
      return { scheme, realm, service: parameters.get('service'), scope: parameters.get('scope') };
    }
  }
  return challenges.some(({ scheme }) => scheme === 'basic') ? { scheme: 'basic' } : undefined;
}

interface RawChallenge {
  scheme: string;
  parameters: Map<string, string>;
}

/** A word alone begins a challenge, `key=value` belongs to the last one; each character is looked at once. */
function split(text: string): RawChallenge[] {
  const challenges: RawChallenge[] = [];
  const token = /[\s,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/y;
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const [, name = '', quoted, plain] = match;
    const value = quoted?.replace(/\\(.)/g, '$1') ?? plain;
    if (value === undefined) challenges.push({ scheme: name.toLowerCase(), parameters: new Map() });
    else challenges.at(-1)?.parameters.set(name.toLowerCase(), value);
  }
  return challenges;
}
