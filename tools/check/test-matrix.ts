// The matrices in the READMEs below `test` name tests by file and title: a pure function that finds what is not there.

/** Test files by their name below `test`, without `.test.ts`: `integration/bucket` → text. */
export type TestFiles = ReadonlyMap<string, string>;

interface NamedTest {
  row: string;
  kind: string;
  file: string;
  title: string;
}

/**
 * One line for each test that does not exist (any more), and for each cell of the table that names other files than the
 * list of its row. A test stands in the list as `- <kind>: <file> › <title>`, below the heading of its row; without a
 * folder its file is one of `folder`, that of the README.
 */
export function matrixProblems(markdown: string, files: TestFiles, folder: string): string[] {
  const pathOf = (file: string): string => (file.includes('/') ? file : `${folder}/${file}`);
  const tests = namedTests(markdown);
  const problems = tests.flatMap(({ file, title }) => {
    const text = files.get(pathOf(file));
    if (text === undefined) return [`there is no test file "${pathOf(file)}", which the matrix names`];
    return titlesOf(text).has(title) ? [] : [`no test of "${pathOf(file)}" has the title "${title}"`];
  });
  for (const { row, kind, cell } of cellsOf(markdown)) {
    const listed = new Set(tests.filter((test) => test.row === row && test.kind === kind).map(({ file }) => file));
    const shown = new Set(namesIn(cell).filter((name) => files.has(pathOf(name))));
    const isSame = listed.size === shown.size && [...listed].every((file) => shown.has(file));
    if (!isSame) {
      problems.push(`cell "${row}" of "${kind}" shows ${words(shown)}, and the list below it has ${words(listed)}`);
    }
  }
  return tests.length === 0 ? ['the matrix names no test'] : problems;
}

function namedTests(markdown: string): NamedTest[] {
  const tests: NamedTest[] = [];
  let row = '';
  for (const line of markdown.split('\n')) {
    row = /^## (.+)$/.exec(line)?.[1] ?? row;
    const found = /^- (?<kind>.+): (?<file>[a-z0-9/-]+) › (?<title>.+)$/.exec(line)?.groups;
    if (found) tests.push({ row, kind: found['kind'] ?? '', file: found['file'] ?? '', title: found['title'] ?? '' });
  }
  return tests;
}

/** The cells of the first table, whose head has the kinds; none where there is no table. */
function cellsOf(markdown: string): { row: string; kind: string; cell: string }[] {
  const lines = markdown.split('\n');
  const start = lines.findIndex((line) => line.startsWith('|'));
  if (start < 0) return [];
  const table = lines.slice(start);
  const rows = table.slice(
    0,
    table.findIndex((line) => !line.startsWith('|')),
  );
  const split = (line: string): string[] =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim());
  const [head = '', , ...body] = rows;
  const [, ...kinds] = split(head);
  return body.flatMap((line) => {
    const [row = '', ...cells] = split(line);
    return kinds.map((kind, index) => ({ row, kind, cell: cells[index] ?? '' }));
  });
}

/** What a cell names, without what stands in brackets. */
function namesIn(cell: string): string[] {
  return cell
    .replaceAll(/\(.*?\)/g, '')
    .split(',')
    .map((name) => name.trim());
}

/** Titles as they are written, of tests and groups, with or without a table of cases. */
function titlesOf(text: string): Set<string> {
  const calls = text.matchAll(/(?:\b(?:it|test|describe)(?:\.\w+)*|\))\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1\s*,/g);
  return new Set([...calls].map(([, , title = '']) => title.replaceAll(/\\(.)/g, '$1')));
}

function words(files: ReadonlySet<string>): string {
  return files.size > 0 ? [...files].sort().join(', ') : 'none';
}
