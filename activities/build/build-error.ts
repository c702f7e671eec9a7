// Turns what kustomize prints on stderr into one line for a person: no temporary paths, no dumps of objects.

const maxLength = 2000;

/** The message of a failed build. `directory` is the workspace's root, which is cut off every path. */
export function explainStderr(stderr: string, directory: string): string {
  const lines = stderr
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^#? ?Warning:/i.test(line) && !/^\d{4}\/\d\d\/\d\d .*Warning:/i.test(line));
  const whole = withoutTrace(lines.join(' ').replace(/^Error: /, ''));
  const local = dropDumps(dropLiterals(whole))
    .replaceAll(`${directory}/`, '')
    .replaceAll(directory, '.')
    .replace(/\/\S*\/home\/kustomize-\d+/g, '<remote>');
  const first = withoutRepetition(local);
  const text = first || 'kustomize ended without saying why';
  return text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
}

/** A crash of kustomize prints where in its own code it was. */
function withoutTrace(text: string): string {
  return text.replace(/^panic: (.*?) goroutine \d+ \[.*$/, 'kustomize crashed: $1');
}

/** Go prints whole objects, the data of Secrets included; the braces are matched so that nothing of them is left. */
function dropDumps(text: string): string {
  let result = '';
  let rest = text;
  for (;;) {
    const start = rest.search(/(?:map\[[\w.]+\][\w.]*(?:interface \{\})?|\[\][\w.]+(?:interface \{\})?)\{/);
    if (start < 0) return result + rest;
    const end = endOfBraces(rest, start);
    result += `${rest.slice(0, start)}{…}`;
    rest = rest.slice(end);
  }
}

function endOfBraces(text: string, from: number): number {
  let depth = 0;
  let isQuoted = false;
  for (let at = from; at < text.length; at += 1) {
    const character = text[at];
    if (isQuoted) {
      if (character === '\\') at += 1;
      else if (character === '"') isQuoted = false;
    } else if (character === '"') isQuoted = true;
    else if (character === '{') depth += 1;
    else if (character === '}') {
      depth -= 1;
      // `interface {}` in the type itself closes its own pair; the dump begins with the brace after it.
      if (depth === 0 && text[at + 1] !== '{') return at + 1;
    }
  }
  return text.length;
}

/** A literal of a secretGenerator is a secret even when it is malformed, and so are all others beside it. */
function dropLiterals(text: string): string {
  return text
    .replace(/(literal sources) \[.*\](: )/g, '$1 […]$2')
    .replace(/(invalid literal source) .*(, expected)/g, '$1 …$2')
    .replace(/line \[[\d ]*\] (has invalid utf8 bytes).*/g, 'a line $1');
}

/** kustomize tries an entry as a file and then as a directory and tells both; the first is what a person meant. */
function withoutRepetition(text: string): string {
  return text.replace(
    /^accumulating resources: accumulation err='accumulating resources from '([^']*)': (.*?)': .*$/,
    '$1: $2',
  );
}
