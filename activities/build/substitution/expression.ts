// What `${…}` in a manifest says: the grammar of contract 2.1, "postBuild substitution", with its quirks. Pure.

/** A piece of text as it stands, or an expression that is put in. */
export type Segment = string | Expression;

/**
 * What is done with a variable's value, as it is written between name and operands; '' is the bare value, `length` is
 * `${#v}`, `default` is any of `=` `:=` `:-` `:+` `:?`, which all act alike.
 */
export type Operator =
  | ''
  | 'length'
  | 'default'
  | ':'
  | ','
  | ',,'
  | '^'
  | '^^'
  | '#'
  | '##'
  | '%'
  | '%%'
  | '/'
  | '//'
  | '/#'
  | '/%';

export interface Expression {
  /** Name of the variable. */
  name: string;
  operator: Operator;
  operands: readonly Segment[];
}

/** An expression that cannot be read or carried out; its message names the variable and never a value. */
export class SubstitutionError extends Error {
  override readonly name = 'SubstitutionError';
}

const namePattern = /[\p{L}\p{Nd}_]+/uy;
const maxDepth = 50;
const maxNameShown = 100;

/** True for a text that a substitution may change: nothing else than `${` and `$$` means anything in it. */
export function hasExpressions(text: string): boolean {
  return text.includes('${') || text.includes('$$');
}

/**
 * Reads a text. `$$` stands for one `$`, and so `$${v}` for the literal `${v}`; `$v` is plain text.
 * Throws {@link SubstitutionError} for an expression that is not closed or not understood.
 */
export function parseTemplate(text: string): Segment[] {
  let at = 0;

  function template(): Segment[] {
    const segments: Segment[] = [];
    let plain = '';
    for (;;) {
      const dollar = text.indexOf('$', at);
      if (dollar < 0) break;
      plain += text.slice(at, dollar);
      const next = text[dollar + 1];
      at = dollar + (next === '{' || next === '$' ? 2 : 1);
      if (next !== '{') {
        plain += '$';
        continue;
      }
      if (plain) segments.push(plain);
      plain = '';
      segments.push(expression(0));
    }
    plain += text.slice(at);
    if (plain) segments.push(plain);
    return segments;
  }

  /** Everything after `${`, with the closing brace. */
  function expression(depth: number): Expression {
    if (depth > maxDepth) throw new SubstitutionError(`expressions are nested deeper than ${maxDepth} levels`);
    const isLength = take('#');
    const name = takeName();
    if (isLength) return closed({ name, operator: 'length', operands: [] });
    switch (text[at]) {
      case ':':
        return isDefaultSign(text[at + 1]) ? withDefault(name, 2, depth) : substring(name, depth);
      case '=':
        return withDefault(name, 1, depth);
      case ',':
      case '^':
        return closed({ name, operator: casing(takeUpTo(2, ',^')), operands: [] });
      case '#':
      case '%': {
        const operator = takeUpTo(2, text[at] as string) as Operator;
        return closed({ name, operator, operands: [operand(name, '}', depth)] });
      }
      case '/':
        return replacement(name, depth);
      default:
        return closed({ name, operator: '', operands: [] });
    }
  }

  function withDefault(name: string, signLength: number, depth: number): Expression {
    at += signLength;
    const operands: Segment[] = [];
    while (text[at] !== '}') operands.push(operand(name, '}', depth));
    return closed({ name, operator: 'default', operands });
  }

  function substring(name: string, depth: number): Expression {
    at += 1;
    const operands = [operand(name, ':}', depth)];
    if (takeUpTo(Infinity, ':')) operands.push(operand(name, '}', depth));
    return closed({ name, operator: ':', operands });
  }

  /** The pattern goes on until the next slash, beyond a closing brace if need be; a missing second slash is an error. */
  function replacement(name: string, depth: number): Expression {
    at += 1;
    const operator = `/${takeUpTo(1, '/#%')}` as Operator;
    const operands = [operand(name, '/', depth, true)];
    if (!takeUpTo(Infinity, '/')) throw unclear(name, 'a replacement is written "${name/pattern/text}"');
    if (text[at] !== '}') operands.push(operand(name, '}', depth, true));
    return closed({ name, operator, operands });
  }

  /** One nested expression, or a text that is not empty and ends before one of `stops` or the next expression. */
  function operand(name: string, stops: string, depth: number, mayEscape = false): Segment {
    if (text.startsWith('${', at)) {
      at += 2;
      return expression(depth + 1);
    }
    const start = at;
    let plain = '';
    while (at < text.length && !stops.includes(text[at] as string) && !text.startsWith('${', at)) {
      if (mayEscape && /^(?:\$\$|\\[\\/])/.test(text.slice(at, at + 2))) at += 1;
      plain += text[at];
      at += 1;
    }
    if (at === start) throw unclear(name, at < text.length ? 'something is missing in it' : '"}" is missing');
    return plain;
  }

  function closed(found: Expression): Expression {
    if (take('}')) return found;
    const expected = 'expected "}" or one of : = , ^ / # % after the name; a default is written "${name:=value}"';
    throw unclear(found.name, at < text.length && text[at] !== '\n' ? expected : '"}" is missing');
  }

  function take(character: string): boolean {
    if (text[at] !== character) return false;
    at += 1;
    return true;
  }

  /** Takes characters of a set, at most so many. */
  function takeUpTo(count: number, characters: string): string {
    const start = at;
    while (at < text.length && at - start < count && characters.includes(text[at] as string)) at += 1;
    return text.slice(start, at);
  }

  function takeName(): string {
    namePattern.lastIndex = at;
    const name = namePattern.exec(text)?.[0];
    if (name === undefined) throw new SubstitutionError('"${" is not followed by the name of a variable');
    at += name.length;
    return name;
  }

  return template();
}

/** The names of the variables in a template, nested ones as well. */
export function namesIn(segments: readonly Segment[]): string[] {
  return segments.flatMap((segment) =>
    typeof segment === 'string' ? [] : [segment.name, ...namesIn(segment.operands)],
  );
}

function unclear(name: string, problem: string): SubstitutionError {
  const shown = name.length > maxNameShown ? `${name.slice(0, maxNameShown)}…` : name;
  return new SubstitutionError(`expression of variable "${shown}" is not understood: ${problem}`);
}

function isDefaultSign(character: string | undefined): boolean {
  return character !== undefined && '=-?+'.includes(character);
}

/** A mixture of both signs changes nothing. */
function casing(signs: string): Operator {
  return signs === ',^' || signs === '^,' ? '' : (signs as Operator);
}
