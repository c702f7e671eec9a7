// Which files of a source stay out of its artifact (contract 1.0, ignore rules). Patterns have gitignore's syntax. The
// last pattern that matches a path or one of its parents decides, so a later `!` re-includes also below an excluded
// directory, which plain Git would not do but Flux does.

/** A `.sourceignore` file: the directory that it is in ('' for the root) and its text. */
export interface IgnoreFile {
  directory: string;
  text: string;
}

export interface IgnoreRules {
  /** True when the file stays out of the artifact. */
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

interface Pattern {
  domain: string[];
  isNegated: boolean;
  /** Matches directories only. */
  isDirectoryOnly: boolean;
  /** Contains a slash, so it is tied to its domain's directory; otherwise it matches a name at any depth. */
  isAnchored: boolean;
  segments: (((name: string) => boolean) | '**')[];
}

/** Compiles the rules: the always-list, the default list or the users' patterns, `spec.ignore` last. */
export function compileIgnoreRules(files: IgnoreFile[], specIgnore: string | undefined): IgnoreRules {
  const users = [
    ...[...files].sort((a, b) => depth(a) - depth(b)).flatMap((file) => parsePatterns(file.text, file.directory)),
    ...parsePatterns(specIgnore ?? '', ''),
  ];
  const lists = users.length > 0 ? alwaysIgnored : [...alwaysIgnored, ...ignoredByDefault];
  const patterns = [...parsePatterns(lists.join('\n'), ''), ...users].reverse();
  return {
    isIgnored(path) {
      const segments = path.split('/');
      const decisive = patterns.find((pattern) => matches(pattern, segments));
      return decisive !== undefined && !decisive.isNegated;
    },
  };
}

function depth(file: IgnoreFile): number {
  return file.directory === '' ? 0 : file.directory.split('/').length;
}

function parsePatterns(text: string, directory: string): Pattern[] {
  const domain = directory === '' ? [] : directory.split('/');
  return text
    .split(/\r?\n/)
    .filter((line) => !line.startsWith('#') && line.trim() !== '')
    .map((line) => parsePattern(line, domain));
}

function parsePattern(line: string, domain: string[]): Pattern {
  const isNegated = line.startsWith('!');
  let text = isNegated ? line.slice(1) : line;
  if (!text.endsWith('\\ ')) text = text.replace(/ +$/, '');
  const isDirectoryOnly = text.endsWith('/');
  if (isDirectoryOnly) text = text.slice(0, -1);
  const segments = text.split('/');
  const isAnchored = segments.length > 1;
  if (segments[0] === '') segments.shift();
  return {
    domain,
    isNegated,
    isDirectoryOnly,
    isAnchored,
    segments: segments.map((segment) => (segment === '**' ? '**' : compileGlob(segment))),
  };
}

/** Tests one character, or `'*'` for any number of any. */
type GlobToken = ((character: string) => boolean) | '*';

/** `*`, `?`, `[a-z]` (with `!` or `^` to negate) and `\` within one name. */
function compileGlob(glob: string): (name: string) => boolean {
  const tokens: GlobToken[] = [];
  const characters = [...glob];
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] as string;
    if (character === '*') tokens.push('*');
    else if (character === '?') tokens.push(() => true);
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
  return (name) => matchesGlob(tokens, [...name]);
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
function matchesGlob(tokens: GlobToken[], name: string[]): boolean {
  let at = 0;
  let star = -1;
  let starFrom = 0;
  for (let i = 0; i < name.length; ) {
    const token = tokens[at];
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
  return tokens.slice(at).every((token) => token === '*');
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
