import { expect, test } from 'vitest';
import { createHelmLog } from './run-helm-log.ts';

function log(text: string, hidden: string[] = []) {
  const created = createHelmLog('/tmp/private', hidden);
  for (const chunk of text.match(/.{1,7}/gs) ?? []) created.add(Buffer.from(chunk));
  return created;
}

test.each([
  ['Error: INSTALLATION FAILED: no such thing\n', 'no such thing'],
  ['Error: UPGRADE FAILED: a\nb\n', 'a\nb'],
  ['level=DEBUG msg=x\nError: release: not found\n', 'release: not found'],
  ['Error: first\nlevel=ERROR msg="in between"\nlast line\n', 'first\nlast line'],
  ['nothing\n', 'helm ended with code 1 and without a message'],
])('%s', (text, expected) => {
  expect(log(text).error(1)).toBe(expected);
});

test('log lines are readable, and the last ten are kept', () => {
  const lines = Array.from({ length: 12 }, (_, at) => `level=DEBUG msg="creating ${at}" kind=Pod\n`);
  const told = log(`${lines.join('')}level=WARN msg="is \\"late\\""\nlevel=ERROR msg=bad\nError: x\n`).lines();
  expect(told).toHaveLength(10);
  expect(told.slice(-3)).toEqual(['creating 11 kind=Pod', 'warning: is "late"', 'error: bad']);
});

test('hidden texts and the directory of the process are in no line and no message', () => {
  const { lines, error } = log(
    'level=DEBUG msg="chart /tmp/private/chart.tgz pass-word"\nError: pass-word is short\n',
    ['pass-word', 'pass', 'a'],
  );
  expect(lines()).toEqual(['chart chart.tgz ***']);
  expect(error(1)).toBe('*** is short');
});

test('a log without end takes no memory without end', () => {
  const created = createHelmLog('/tmp/private');
  for (let at = 0; at < 200; at++) created.add(Buffer.alloc(10_000, 'x'));
  expect(created.lines()[0]?.length).toBeLessThan(1_100);
});
