// What `npm test` says at its end, out of the JSON reports of its rows.
import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';

/** A test as vitest's JSON report tells of it. */
export interface ReportedTest {
  file: string;
  title: string;
  isFailed: boolean;
  isPassed: boolean;
  /** The first message of a failed one. */
  message?: string;
}

/** One run of vitest. */
export interface RowResult {
  projects: string[];
  /** Null: vitest could not be started, or was killed. */
  exitCode: number | null;
  /** Undefined: no report was written. */
  tests?: ReportedTest[];
}

interface JsonReport {
  testResults: {
    name: string;
    status: string;
    message?: string;
    assertionResults: { fullName: string; status: string; failureMessages?: string[] }[];
  }[];
}

const shownLines = 12;

/** Reads a report; undefined when there is none that can be read. */
export async function readReport(path: string): Promise<ReportedTest[] | undefined> {
  try {
    return testsOf(JSON.parse(await readFile(path, 'utf8')) as JsonReport);
  } catch {
    return undefined;
  }
}

/** The tests of a report; a file that could not be loaded counts as a failed one. */
export function testsOf({ testResults }: JsonReport): ReportedTest[] {
  return testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(process.cwd(), name);
    const tests = assertionResults.map(({ fullName, status: is, failureMessages = [] }) => {
      const isFailed = is === 'failed';
      return { file, title: fullName, isFailed, isPassed: is === 'passed', message: failureMessages[0] };
    });
    if (status !== 'failed' || tests.some(({ isFailed }) => isFailed)) return tests;
    return [...tests, { file, title: 'the file, or what it sets up', isFailed: true, isPassed: false, message }];
  });
}

/** A line for each failed test, and the beginning of what it says; nothing where all is well. */
export function summaryOf(rows: readonly RowResult[]): string[] {
  return rows.flatMap(({ projects, exitCode, tests }) => {
    const failed = (tests ?? []).filter(({ isFailed }) => isFailed);
    const lines = failed.flatMap(({ file, title, message = '' }) => [
      `✗ ${file} › ${title}`,
      ...message
        .split('\n')
        .slice(0, shownLines)
        .map((line) => `    ${line}`),
    ]);
    if (exitCode === 0 || failed.length > 0) return lines;
    const ended = exitCode === null ? 'was killed or could not be started' : `ended with exit code ${exitCode}`;
    return [`✗ ${projects.join(', ')}: vitest ${ended} although no test failed: see its "Unhandled Errors" above`];
  });
}

/** `N passed, N failed, N skipped` over all rows. */
export function closingLine(rows: readonly RowResult[]): string {
  const tests = rows.flatMap((row) => row.tests ?? []);
  const passed = tests.filter(({ isPassed }) => isPassed).length;
  const failed = tests.filter(({ isFailed }) => isFailed).length;
  return `${passed} passed, ${failed} failed, ${tests.length - passed - failed} skipped`;
}
