// A field of a JSON object as the place of its text, so that it can be replaced while all else stays as it was written,
// and is neither parsed nor written again.

/** Where the value of a field is in a text. */
export interface JsonPlace {
  start: number;
  end: number;
}

/**
 * The place of a field's value in the JSON of an object; undefined when the object has no such field. The text is taken
 * to be well-formed, as its fields are not looked into. Throws an `Error` for one that is cut off.
 */
export function placeOfField(json: string, name: string): JsonPlace | undefined {
  const key = JSON.stringify(name);
  let depth = 0;
  for (let at = 0; at < json.length; at++) {
    const char = json[at];
    if (char === '{' || char === '[') depth++;
    else if (char === '}' || char === ']') depth--;
    else if (char === '"') {
      const end = endOfText(json, at);
      const colon = depth === 1 && json.slice(at, end) === key ? /\s*:\s*/y : undefined;
      if (colon) colon.lastIndex = end;
      // A value may be the same text as the key; it has no colon behind it.
      if (colon?.test(json)) return { start: colon.lastIndex, end: endOfValue(json, colon.lastIndex) };
      at = end - 1;
    }
  }
  return undefined;
}

function endOfValue(json: string, start: number): number {
  let depth = 0;
  for (let at = start; at < json.length; at++) {
    const char = json[at];
    if (char === '"') at = endOfText(json, at) - 1;
    else if (char === '{' || char === '[') depth++;
    else if (char === '}' || char === ']' || char === ',') {
      if (depth === 0) return at;
      if (char !== ',') depth--;
    }
  }
  throw new Error('the JSON of an object is cut off');
}

/** The place behind the closing quote: the first one that no backslash takes away. */
function endOfText(json: string, start: number): number {
  for (let at = json.indexOf('"', start + 1); at >= 0; at = json.indexOf('"', at + 1)) {
    let first = at;
    while (json[first - 1] === '\\') first--;
    if ((at - first) % 2 === 0) return at + 1;
  }
  throw new Error('the JSON of an object is cut off');
}
