import { join } from 'node:path';
import { expect, it } from 'vitest';
import { closingLine, summaryOf, testsOf } from './test-summary.ts';

const report = {
  testResults: [
    {
      name: join(process.cwd(), 'k8s', 'a.test.ts'),
      status: 'failed',
      message: '',
      assertionResults: [
        { fullName: 'a works', status: 'passed' },
        { fullName: 'a heals', status: 'failed', failureMessages: ['AssertionError: expected 1\n    at x', 'later'] },
        { fullName: 'a later', status: 'skipped' },
      ],
    },
    { name: join(process.cwd(), 'k8s', 'b.test.ts'), status: 'failed', message: 'no such file', assertionResults: [] },
  ],
};

it('tells each failed test with its first message, and a file that could not be loaded', () => {
  const rows = [{ projects: ['unit'], exitCode: 1, tests: testsOf(report) }];
  expect(summaryOf(rows)).toEqual([
    '✗ k8s/a.test.ts › a heals',
    '    AssertionError: expected 1',
    '        at x',
    '✗ k8s/b.test.ts › the file, or what it sets up',
    '    no such file',
  ]);
  expect(closingLine(rows)).toBe('1 passed, 2 failed, 1 skipped');
});

it('says which row ended badly though no test failed', () => {
  const passed = { file: 'a', title: 'b', isFailed: false, isPassed: true };
  const [line, ...more] = summaryOf([
    { projects: ['e2e'], exitCode: 0, tests: [passed] },
    { projects: ['faults', 'options'], exitCode: 1, tests: [passed] },
  ]);
  expect(line).toMatch(/^✗ faults, options: vitest ended with exit code 1 although no test failed/);
  expect(more).toEqual([]);
  expect(summaryOf([{ projects: ['e2e'], exitCode: null }])[0]).toContain('was killed or could not be started');
});
