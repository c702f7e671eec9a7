import { expect, test } from 'vitest';
import { readLines } from './json-lines.ts';

async function linesOf(chunks: string[], maxLineBytes = 100): Promise<string[]> {
  async function* source(): AsyncGenerator<Uint8Array> {
    for (const chunk of chunks) yield Buffer.from(chunk, 'latin1');
  }
  const lines: string[] = [];
  for await (const line of readLines(source(), maxLineBytes)) lines.push(line);
  return lines;
}

test.each<[string, string[], string[]]>([
  ['one line a chunk', ['a\n', 'b\n'], ['a', 'b']],
  ['several lines in a chunk', ['a\nb\nc\n'], ['a', 'b', 'c']],
  ['a line over several chunks', ['a', 'b', 'c\nd\n'], ['abc', 'd']],
  ['a character cut in the middle', ['\xc3', '\xbc\n'], ['ü']],
  ['empty lines', ['\n\na\n\n'], ['a']],
  ['an unfinished last line', ['a\nb'], ['a']],
])('reads %s', async (_, chunks, lines) => {
  expect(await linesOf(chunks)).toEqual(lines);
});

test('refuses a line over the limit, finished or not', async () => {
  await expect(linesOf(['abcdef\n'], 5)).rejects.toThrow('longer than 5 bytes');
  await expect(linesOf(['abc', 'def'], 5)).rejects.toThrow('longer than 5 bytes');
  expect(await linesOf(['abcde\n'], 5)).toEqual(['abcde']);
});
