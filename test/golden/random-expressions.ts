// Texts with expressions that nobody would write, the same ones for the same seed.

const names = [
  'word',
  'Mixed',
  'path',
  'empty',
  'int',
  'yes',
  'flowList',
  'single',
  'dollar',
  'stars',
  'blanks',
  'unset',
];
const pieces = [
  ...['a', 'b', ' ', '  ', '/', '*', '?', '[a-c]', '[', ']', '$', '$$', '}', '{', ':', '#', '%', '\\', '.', '-', '1'],
  ...['2', '\n', "'", '"', ',', 'hello', 'l', '=', '^', '&', '|', '!', '>', '@', 'word word word word '],
];

/** So many texts; each has at least one `$`. */
export function randomTexts(count: number, seed: number): string[] {
  let state = seed;
  function random(below: number): number {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 16) % below;
  }
  const pick = (list: readonly string[]): string => list[random(list.length)] as string;
  const times = (number: number, make: () => string): string => Array.from({ length: number }, make).join('');

  function operand(depth: number): string {
    return depth < 3 && random(4) === 0 ? expression(depth + 1) : times(1 + random(3), () => pick(pieces));
  }

  function expression(depth: number): string {
    const name = pick(names);
    switch (random(9)) {
      case 0:
        return `\${${name}}`;
      case 1:
        return `\${#${name}}`;
      case 2:
        return `\${${name}${pick(['^', '^^', ',', ',,'])}}`;
      case 3: {
        const length = random(2) === 0 ? '' : `:${pick(['1', '4', operand(depth)])}`;
        return `\${${name}:${pick(['0', '1', '3', ' -1', '-2', operand(depth)])}${length}}`;
      }
      case 4:
        return `\${${name}${pick(['#', '##', '%', '%%'])}${operand(depth)}}`;
      case 5:
        return `\${${name}${pick(['/', '//', '/#', '/%'])}${operand(depth)}/${times(random(2), () => operand(depth))}}`;
      case 6:
        return pick(['$', '$$', '$${word}', '${word', '${}', '$word']);
      default:
        return `\${${name}${pick([':=', '=', ':-', ':+', ':?'])}${times(1 + random(2), () => operand(depth))}}`;
    }
  }

  const texts: string[] = [];
  while (texts.length < count) {
    const text = times(1 + random(5), () => (random(3) === 0 ? expression(0) : pick(pieces)));
    if (text.includes('$')) texts.push(text);
  }
  return texts;
}
