// Which beginnings of a text a glob matches. Pure; the time is bounded by text × pattern, whatever the pattern.

type Token =
  | { kind: 'star' | 'any' }
  | { kind: 'literal'; character: string }
  | { kind: 'class'; isNegated: boolean; ranges: readonly (readonly [low: number, high: number])[] };

/** The parts of a glob, or undefined for one that is malformed. */
export type Glob = readonly Token[];

/**
 * Reads a glob: `*` any characters (slashes as well), `?` any one, `[a-z]` and `[^a-z]` one of a set, `\` before any of
 * these the character itself.
 */
export function parseGlob(pattern: string): Glob | undefined {
  const characters = [...pattern];
  const tokens: Token[] = [];
  let at = 0;

  /** One end of a range. */
  function takeMember(): number | undefined {
    if (characters[at] === '-' || characters[at] === ']') return undefined;
    if (characters[at] === '\\') at += 1;
    const member = characters[at]?.codePointAt(0);
    at += 1;
    return member;
  }

  /** The rest of a set after `[`. */
  function takeClass(): Token | undefined {
    const isNegated = characters[at] === '^';
    if (isNegated) at += 1;
    const ranges: [number, number][] = [];
    while (characters[at] !== ']' || ranges.length === 0) {
      const low = takeMember();
      if (low === undefined) return undefined;
      const isRange = characters[at] === '-';
      if (isRange) at += 1;
      const high = isRange ? takeMember() : low;
      if (high === undefined) return undefined;
      ranges.push([low, high]);
    }
    at += 1;
    return { kind: 'class', isNegated, ranges };
  }

  while (at < characters.length) {
    const character = characters[at] as string;
    at += 1;
    if (character === '*') tokens.push({ kind: 'star' });
    else if (character === '?') tokens.push({ kind: 'any' });
    else if (character === '[') {
      const found = takeClass();
      if (!found) return undefined;
      tokens.push(found);
    } else if (character === '\\') {
      const escaped = characters[at];
      if (escaped === undefined) return undefined;
      at += 1;
      tokens.push({ kind: 'literal', character: escaped });
    } else tokens.push({ kind: 'literal', character });
  }
  return tokens;
}

/** How long the shortest and the longest beginning are that a glob matches, in characters; never 0, undefined for none. */
export function matchingPrefixes(
  glob: Glob,
  characters: readonly string[],
): { shortest: number; longest: number } | undefined {
  // All the places in the glob at which matching may be after the characters seen so far.
  let reached = new Uint8Array(glob.length + 1);
  reached[0] = 1;
  skipStars(glob, reached);
  let shortest = 0;
  let longest = 0;
  for (const [index, character] of characters.entries()) {
    const next = new Uint8Array(glob.length + 1);
    let isAlive = false;
    for (const [place, token] of glob.entries()) {
      if (!reached[place] || !matches(token, character)) continue;
      next[token.kind === 'star' ? place : place + 1] = 1;
      isAlive = true;
    }
    if (!isAlive) break;
    skipStars(glob, next);
    reached = next;
    if (!reached[glob.length]) continue;
    longest = index + 1;
    shortest ||= longest;
  }
  return longest > 0 ? { shortest, longest } : undefined;
}

/** A star matches nothing, too. */
function skipStars(glob: Glob, reached: Uint8Array): void {
  for (const [place, token] of glob.entries()) if (token.kind === 'star' && reached[place]) reached[place + 1] = 1;
}

function matches(token: Token, character: string): boolean {
  if (token.kind === 'literal') return token.character === character;
  if (token.kind !== 'class') return true;
  const point = character.codePointAt(0) ?? 0;
  return token.isNegated !== token.ranges.some(([low, high]) => low <= point && point <= high);
}
