// Which files of a source stay out of its artifact (contract 1.0, ignore rules). Patterns have gitignore's syntax. The
// last pattern that matches a path or one of its parents decides, so a later `!` re-includes also below an excluded
// directory, which plain Git would not do but Flux does.
import type { ArchiveFile } from '../artifact/artifact.ts';
import { failure } from '../errors.ts';

/** A `.sourceignore` file: the directory that it is in ('' for the root) and its text. */
export interface IgnoreFile {
  directory: string;
  text: string;
}

export interface IgnoreRules {
  /**
   * True when the file stays out of the artifact. Fails with SourceIgnoreError when the files that were asked for have
   * together taken too many comparisons: some ten thousand patterns for as many files would stop the worker for hours.
   */
  isIgnored(path: string): boolean;
}

export const ignoreFileName = '.sourceignore';

/** Always left out, unless a pattern of the user takes it back in. */
const alwaysIgnored = ['.git/', '.gitignore', '.gitmodules', '.gitattributes'];

/** Left out as long as the user has no pattern of his own. */
const ignoredByDefault = [
  ...['*.jpg', '*.jpeg', '*.gif', '*.png', '*.wmv', '*.flv', '*.tar.gz', '*.zip'],
  ...['.github/', '.circleci/', '.travis.yml', '.gitlab-ci.yml', 'appveyor.yml', '.drone.yml', 'cloudbuild.yaml'],
  ...['codeship-services.yml', 'codeship-steps.yml'],
  ...['**/.goreleaser.yml', '**/.sops.yaml', '**/.flux.yaml'],
];

/** Of all ignore files of a source together. */
const maxIgnoreFileBytes = 1024 * 1024;
const maxPatterns = 50_000;
/** Some seconds, in which the worker does nothing else; 100,000 files and 300 plain patterns take half of it. */
const maxComparisons = 300_000_000;

/**
 * The files of a source that its `.sourceignore` files and `spec.ignore` leave. Fails with SourceIgnoreError for ignore
 * files that are too large.
 */
export async function withoutIgnored(
  files: readonly ArchiveFile[],
  specIgnore: string | undefined,
): Promise<ArchiveFile[]> {
  const ignoreFiles: IgnoreFile[] = [];
  let sizeBytes = 0;
  for (const file of files) {
    if (file.path !== ignoreFileName && !file.path.endsWith(`/${ignoreFileName}`)) continue;
    if ((file.sizeBytes ?? 0) > maxIgnoreFileBytes) throw ignoreFileTooLarge(file.path);
    const content = await file.content();
    sizeBytes += content.byteLength;
    if (sizeBytes > maxIgnoreFileBytes) throw ignoreFileTooLarge(file.path);
    const directory = file.path.slice(0, -ignoreFileName.length).replace(/\/$/, '');
    ignoreFiles.push({ directory, text: Buffer.from(content).toString('utf8') });
  }
  const rules = compileIgnoreRules(ignoreFiles, specIgnore);
  return files.filter((file) => !rules.isIgnored(file.path));
}

function ignoreFileTooLarge(path: string): Error {
  return failure(
    'SourceIgnoreError',
    `with "${path.slice(0, 200)}" the ignore files have more than the ${maxIgnoreFileBytes} bytes allowed`,
  );
}

interface Pattern {
  domain: string[];
  isNegated: boolean;
  /** Matches directories only. */
  isDirectoryOnly: boolean;
  /** Contains a slash, so it is tied to its domain's directory; otherwise it matches a name at any depth. */
  isAnchored: boolean;
  segments: (((name: string) => boolean) | '**')[];
}

/**
 * Compiles the rules: the always-list, the default list or the users' patterns, `spec.ignore` last. Fails with
 * SourceIgnoreError for too many patterns.
 */
export function compileIgnoreRules(files: IgnoreFile[], specIgnore: string | undefined): IgnoreRules {
  const work: Work = { patterns: 0, comparisons: 0 };
  const users = [
    ...[...files].sort((a, b) => depth(a) - depth(b)).flatMap((file) => parsePatterns(file.text, file.directory, work)),
    ...parsePatterns(specIgnore ?? '', '', work),
  ];
  const lists = users.length > 0 ? alwaysIgnored : [...alwaysIgnored, ...ignoredByDefault];
  const patterns = [...parsePatterns(lists.join('\n'), '', work), ...users].reverse();
  return {
    isIgnored(path) {
      const segments = path.split('/');
      const decisive = patterns.find((pattern) => {
        if (++work.comparisons > maxComparisons) throw tooMuchWork();
        return matches(pattern, segments);
      });
      return decisive !== undefined && !decisive.isNegated;
    },
  };
}

/** What the patterns of one source have taken so far. */
interface Work {
  patterns: number;
  comparisons: number;
}

function tooMuchWork(): Error {
  return failure(
    'SourceIgnoreError',
    'the ignore rules take too many comparisons for so many files: use fewer patterns, or patterns of directories',
  );
}

function depth(file: IgnoreFile): number {
  return file.directory === '' ? 0 : file.directory.split('/').length;
}

function parsePatterns(text: string, directory: string, work: Work): Pattern[] {
  const domain = directory === '' ? [] : directory.split('/');
  const lines = text.split(/\r?\n/).filter((line) => !line.startsWith('#') && line.trim() !== '');
  work.patterns += lines.length;
  if (work.patterns > maxPatterns) {
    throw failure('SourceIgnoreError', `the ignore rules have more than the ${maxPatterns} patterns allowed`);
  }
  return lines.map((line) => parsePattern(line, domain, work));
}

function parsePattern(line: string, domain: string[], work: Work): Pattern {
  const isNegated = line.startsWith('!');
  let text = isNegated ? line.slice(1) : line;
  if (!text.endsWith('\\ ')) text = text.replace(/ +$/, '');
  const isDirectoryOnly = text.endsWith('/');
  if (isDirectoryOnly) text = text.slice(0, -1);
  const segments = text.split('/').filter((segment, at, all) => segment !== '**' || all[at - 1] !== '**');
  const isAnchored = text.includes('/');
  if (segments[0] === '') segments.shift();
  return {
    domain,
    isNegated,
    isDirectoryOnly,
    isAnchored,
    segments: segments.map((segment) => (segment === '**' ? '**' : compileGlob(segment, work))),
  };
}

/** Tests one character, or `'*'` for any number of any. */
type GlobToken = ((character: string) => boolean) | '*';

/** `*`, `?`, `[a-z]` (with `!` or `^` to negate) and `\` within one name. */
function compileGlob(glob: string, work: Work): (name: string) => boolean {
  const tokens: GlobToken[] = [];
  const characters = [...glob];
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] as string;
    if (character === '*') {
      if (tokens.at(-1) !== '*') tokens.push('*');
    } else if (character === '?') tokens.push(() => true);
    else if (character === '[') {
      const end = characters.indexOf(']', i + 2);
      const test = end < 0 ? undefined : compileClass(characters.slice(i + 1, end).join(''));
      if (!test) return () => false; // a broken class matches nothing
      tokens.push(test);
      i = end;
    } else {
      const literal = character === '\\' ? (characters[++i] ?? '\\') : character;
      tokens.push((other) => other === literal);
    }
  }
  return (name) => matchesGlob(tokens, [...name], work);
}

function compileClass(body: string): ((character: string) => boolean) | undefined {
  try {
    const regex = new RegExp(`^[${body.replace(/^!/, '^').replaceAll('[', '\\[')}]$`, 'su');
    return (character) => regex.test(character);
  } catch {
    return undefined;
  }
}

/** Only the last star is ever tried again, so time grows with name times pattern, whatever the pattern. */
function matchesGlob(tokens: GlobToken[], name: string[], work: Work): boolean {
  let at = 0;
  let star = -1;
  let starFrom = 0;
  for (let i = 0; i < name.length; ) {
    const token = tokens[at];
    work.comparisons++;
    if (token === '*') {
      star = at++;
      starFrom = i;
    } else if (token?.(name[i] as string)) {
      at++;
      i++;
    } else if (star >= 0) {
      at = star + 1;
      i = ++starFrom;
    } else return false;
  }
  return at === tokens.length || (at === tokens.length - 1 && tokens[at] === '*');
}

/** True when the pattern matches the path itself (a file) or a directory that it is in. */
function matches(pattern: Pattern, path: string[]): boolean {
  const { domain } = pattern;
  if (path.length <= domain.length || domain.some((segment, index) => path[index] !== segment)) return false;
  const rest = path.slice(domain.length);
  if (!pattern.isAnchored) {
    const [name] = pattern.segments;
    return rest.some((segment, index) => {
      if (pattern.isDirectoryOnly && index === rest.length - 1) return false;
      return name === '**' || (name?.(segment) ?? false);
    });
  }
  return matchesFrom(pattern, 0, rest, 0, new Set());
}

/** `failed` holds the positions that were tried in vain, so that many `**` do not multiply. */
function matchesFrom(pattern: Pattern, at: number, path: string[], from: number, failed: Set<number>): boolean {
  const segment = pattern.segments[at];
  // All of the pattern is used up: it matches the path or a parent of it.
  if (segment === undefined) return !pattern.isDirectoryOnly || from < path.length;
  if (segment !== '**') {
    const name = path[from];
    return name !== undefined && segment(name) && matchesFrom(pattern, at + 1, path, from + 1, failed);
  }
  if (at === pattern.segments.length - 1) {
    return from < path.length - (pattern.isDirectoryOnly ? 1 : 0);
  }
  for (let next = from; next < path.length; next++) {
    const position = at * (path.length + 1) + next;
    if (failed.has(position)) return false;
    if (matchesFrom(pattern, at + 1, path, next, failed)) return true;
    failed.add(position);
  }
  return false;
}
