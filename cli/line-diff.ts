// Two texts side by side, line by line. Pure.

/** One line: `=` is in both, `-` goes, `+` comes, `…` stands for lines in both that are left out. */
export interface DiffLine {
  mark: '=' | '-' | '+' | '…';
  text: string;
}

/** Lines that are shown before and after a change. */
const contextLines = 2;
/** Beyond so many pairs of lines the middle part is shown as all gone and all new: comparing them would take too long. */
const maxPairs = 4_000_000;

/** The lines that change, with a few around them. Lines in both are found by their longest common subsequence. */
export function lineDiff(before: string, after: string): DiffLine[] {
  const old = linesOf(before);
  const now = linesOf(after);
  let head = 0;
  while (head < old.length && head < now.length && old[head] === now[head]) head += 1;
  let tail = 0;
  while (tail < old.length - head && tail < now.length - head && old.at(-1 - tail) === now.at(-1 - tail)) tail += 1;
  const same = (lines: string[]): DiffLine[] => lines.map((text) => ({ mark: '=', text }));
  return withContext([
    ...same(old.slice(0, head)),
    ...middle(old.slice(head, old.length - tail), now.slice(head, now.length - tail)),
    ...same(old.slice(old.length - tail)),
  ]);
}

/** A text that ends in a line break has no empty line after it; that it has none is told by `\\` as in other tools. */
function linesOf(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  else lines.push('\\ no line break at the end');
  return lines;
}

function middle(old: string[], now: string[]): DiffLine[] {
  const result: DiffLine[] = [];
  if (old.length * now.length > maxPairs) {
    for (const text of old) result.push({ mark: '-', text });
    for (const text of now) result.push({ mark: '+', text });
    return result;
  }
  // common[i][j]: how many lines old[i…] and now[j…] share at most.
  const width = now.length + 1;
  const common = new Uint32Array((old.length + 1) * width);
  const at = (i: number, j: number): number => common[i * width + j] as number;
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      common[i * width + j] = old[i] === now[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  let i = 0;
  let j = 0;
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) {
      result.push({ mark: '=', text: old[i++] as string });
      j += 1;
    } else if (i < old.length && (j >= now.length || at(i + 1, j) >= at(i, j + 1))) {
      result.push({ mark: '-', text: old[i++] as string });
    } else result.push({ mark: '+', text: now[j++] as string });
  }
  return result;
}

function withContext(lines: DiffLine[]): DiffLine[] {
  const isNear = lines.map(() => false);
  for (const [index, { mark }] of lines.entries()) {
    if (mark === '=') continue;
    for (let near = index - contextLines; near <= index + contextLines; near++) {
      if (near >= 0 && near < lines.length) isNear[near] = true;
    }
  }
  const result: DiffLine[] = [];
  for (const [index, line] of lines.entries()) {
    if (isNear[index]) result.push(line);
    else if (result.at(-1)?.mark !== '…') result.push({ mark: '…', text: '' });
  }
  return result;
}
