// Doublestar globs over paths of an artifact (contract 1.7). They become RE2 expressions, so that no pattern, however it is
// written, takes more than linear time. Pure.
import { RE2JS } from 're2js';

const maxPatternLength = 1024;
const braces = { '{': '(?:', ',': '|', '}': ')' } as const;

/** True when a path is a pattern; braces alone make none. */
export function isGlob(path: string): boolean {
  return /[*?[\]]/.test(path);
}

/**
 * Matches whole paths: `*` and `?` stay within a name, `**` as a whole name stands for any number of names, at the end for
 * at least one, `[a-z]` and `[!a-z]` for one character, `{a,b}` for either, `\` takes away the meaning of what follows.
 * Throws an `Error` that quotes the pattern when it is none.
 */
export function compileGlob(pattern: string): (path: string) => boolean {
  const fail = (why: string): Error => new Error(`pattern "${pattern.slice(0, 200)}" ${why}`);
  if (pattern.length > maxPatternLength) throw fail(`is longer than ${maxPatternLength} characters`);
  let expression = '';
  let depth = 0;
  let at = 0;
  while (at < pattern.length) {
    const character = pattern.charAt(at);
    const rest = pattern.slice(at);
    const isNameStart = at === 0 || '/{,'.includes(pattern.charAt(at - 1));
    const isBrace = character === '{' || (depth > 0 && (character === '}' || character === ','));
    if (rest.startsWith('**/') && isNameStart) {
      expression += '(?:.*/)?';
      at += 3;
    } else if (/^\*\*(?:$|[,}])/.test(rest) && isNameStart) {
      expression += '.+';
      at += 2;
    } else if (character === '*') {
      expression += '[^/]*';
      at += /^\*+/.exec(rest)?.[0].length ?? 1;
    } else if (character === '?') {
      expression += '[^/]';
      at += 1;
    } else if (character === '[') {
      const [whole, negation, members] = /^\[([!^]?)((?:\\.|[^\]\\])+)\]/s.exec(rest) ?? [];
      if (whole === undefined || members === undefined) throw fail('has a "[" without its "]"');
      expression += `[${negation ? '^/' : ''}${membersOf(members)}]`;
      at += whole.length;
    } else if (isBrace) {
      if (character !== ',') depth += character === '{' ? 1 : -1;
      expression += braces[character];
      at += 1;
    } else {
      if (character === '\\') at += 1;
      if (at === pattern.length) throw fail('ends with "\\"');
      const [literal = ''] = /^./su.exec(pattern.slice(at)) ?? [];
      expression += RE2JS.quote(literal);
      at += literal.length;
    }
  }
  if (depth > 0) throw fail('has a "{" without its "}"');
  const compiled = compile(expression, fail);
  return (path) => compiled.matches(path);
}

function compile(expression: string, fail: (why: string) => Error): RE2JS {
  try {
    return RE2JS.compile(expression, RE2JS.DOTALL);
  } catch {
    throw fail('is no valid glob'); // e.g. a range from z to a
  }
}

/** Characters and ranges of a class; a `\` takes away the meaning of the next one. */
function membersOf(members: string): string {
  return members.replace(/\\(.)|[[\]^&~]/gsu, (whole, escaped: string | undefined) =>
    RE2JS.quote(escaped ?? whole).replace(/^-$/, '\\-'),
  );
}
