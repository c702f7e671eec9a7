import { expect, test } from 'vitest';
import { matrixProblems } from './test-matrix.ts';

const files = new Map([
  ['integration/git', "it('is fetched', async () => {});\nit.each([\n  [1],\n])('is fetched %s times', () => {});\n"],
  ['e2e/git', 'test("it\'s applied", () => {});\n'],
]);
const matrix = [
  '| | Git | Bucket |',
  '|---|---|---|',
  '| success | git, e2e/git (both) | – |',
  '',
  '## success',
  '- Git: git › is fetched',
  '- Git: git › is fetched %s times',
  "- Git: e2e/git › it's applied",
  '',
  '## more',
  '- paths: `..`: git › is fetched',
].join('\n');

test('a matrix whose tests are there has no problem', () => {
  expect(matrixProblems(matrix, files, 'integration')).toEqual([]);
});

test('a title, a file, and a cell that does not fit its list, are told', () => {
  const changed = matrix.replace('› is fetched\n', '› is cloned\n').replace('paths: `..`: git ', 'paths: `..`: svn ');
  expect(matrixProblems(changed, files, 'integration')).toEqual([
    'no test of "integration/git" has the title "is cloned"',
    'there is no test file "integration/svn", which the matrix names',
  ]);
  expect(matrixProblems(matrix.replace('git, e2e/git (both)', 'e2e/git'), files, 'integration')).toEqual([
    'cell "success" of "Git" shows e2e/git, and the list below it has e2e/git, git',
  ]);
});

test('a matrix may be a list alone, of tests in the folder of its README', () => {
  expect(matrixProblems("## success\n- Git: git › it's applied\n", files, 'e2e')).toEqual([]);
});

test('a file without any test is told', () => {
  expect(matrixProblems('# Nothing\n', files, 'integration')).toEqual(['the matrix names no test']);
});
