// The rules of a chart's .helmignore, which are not those of .gitignore: no `**`, and `!` ignores what does not match.
// Pure; mirrors what `helm package` does, as a golden test proves.
import { RE2JS } from 're2js';

/** True for a path, relative to the chart, that does not belong to it. `isDirectory` for the directories on its way. */
export type IgnoreRule = (path: string, isDirectory: boolean) => boolean;

/** Hidden files among the templates are never templates. */
const builtIn = 'templates/.?*';

const maxLines = 1_000;
/** Some seconds; an honest chart takes some thousand. */
const maxComparisons = 5_000_000;

/**
 * Compiles the text of a .helmignore. Throws an `Error` for a pattern that Helm refuses, and for rules that take too long;
 * the rule does so as well, once the paths that it was asked for have together.
 */
export function compileHelmIgnore(text: string): IgnoreRule {
  const lines = [...text.replace(/^\ufeff/, '').split('\n'), builtIn];
  if (lines.length > maxLines) throw new Error(`.helmignore has more than the ${maxLines} lines allowed`);
  const rules = lines.map((line) => compileLine(line.trim())).filter((rule) => rule !== undefined);
  let comparisons = 0;
  return (path, isDirectory) => {
    comparisons += rules.length;
    if (comparisons > maxComparisons) throw new Error('.helmignore has too many patterns for so many files');
    return rules.some((rule) => rule(path, isDirectory));
  };
}

/** The paths of a chart that its rules leave; a file is out when a directory on its way is. */
export function withoutIgnored(paths: Iterable<string>, isIgnored: IgnoreRule): string[] {
  const directories = new Map<string, boolean>();
  const isOut = (directory: string): boolean => {
    const known = directories.get(directory);
    if (known !== undefined) return known;
    const slash = directory.lastIndexOf('/');
    const isItOut = (slash > 0 && isOut(directory.slice(0, slash))) || isIgnored(directory, true);
    directories.set(directory, isItOut);
    return isItOut;
  };
  return [...paths].filter((path) => {
    const slash = path.lastIndexOf('/');
    return !(slash > 0 && isOut(path.slice(0, slash))) && !isIgnored(path, false);
  });
}

function compileLine(line: string): IgnoreRule | undefined {
  if (line === '' || line.startsWith('#')) return undefined;
  if (line.includes('**')) throw new Error(`.helmignore has "${line.slice(0, 100)}": Helm knows no "**"`);
  const isNegated = line.startsWith('!');
  let pattern = isNegated ? line.slice(1) : line;
  const isForDirectories = pattern.endsWith('/');
  if (isForDirectories) pattern = pattern.slice(0, -1);
  const isAnchored = pattern.startsWith('/');
  const hasSlash = isAnchored || pattern.includes('/');
  const glob = compileGlob(isAnchored ? pattern.slice(1) : pattern);
  const matches = (path: string): boolean => glob.matches(hasSlash ? path : path.slice(path.lastIndexOf('/') + 1));
  return (path, isDirectory) => {
    if (isNegated) return (isForDirectories && !isDirectory) || !matches(path);
    return (!isForDirectories || isDirectory) && matches(path);
  };
}

/**
 * Go's filepath.Match: `*` and `?` stop at `/`, `[a-z]` and `[^a]` are classes, `\` escapes. In RE2, as no pattern may take
 * more than linear time.
 */
function compileGlob(pattern: string): RE2JS {
  const broken = (why: string): Error => new Error(`.helmignore has "${pattern.slice(0, 100)}": ${why}`);
  let source = '';
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern.charAt(at);
    if (character === '*') source += '[^/]*';
    else if (character === '?') source += '[^/]';
    else if (character === '[') {
      const end = pattern.indexOf(']', at + 2);
      if (end < 0) throw broken('a "[" without its "]"');
      source += `[${pattern.slice(at + 1, end).replaceAll('[', String.raw`\[`)}]`;
      at = end;
    } else {
      if (character === '\\') at++;
      const [literal = ''] = /^./su.exec(pattern.slice(at)) ?? [];
      source += RE2JS.quote(literal);
      at += Math.max(0, literal.length - 1);
    }
  }
  try {
    return RE2JS.compile(source, RE2JS.DOTALL);
  } catch {
    throw broken('no pattern that Helm knows');
  }
}
