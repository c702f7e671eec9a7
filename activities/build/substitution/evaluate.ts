// Puts values into a template. Pure.
import { type Expression, type Segment, SubstitutionError } from './expression.ts';
import { maxTextLength, operate, tooLong } from './operators.ts';
import type { Variables } from './variables.ts';

export interface EvaluateOptions {
  variables: Variables;
  /** A variable that is not set and has no default is an error; otherwise it is empty. */
  isStrict: boolean;
}

/**
 * The text of a template. Values are put in as they are: an expression in a value stays text.
 * Throws {@link SubstitutionError}; its message names the variable and never a value.
 */
export function evaluate(segments: readonly Segment[], options: EvaluateOptions): string {
  const parts: string[] = [];
  let length = 0;
  for (const segment of segments) {
    const part = typeof segment === 'string' ? segment : valueOf(segment, options);
    length += part.length;
    if (length > maxTextLength) throw tooLong();
    parts.push(part);
  }
  return parts.join('');
}

/** Operands count also where they are not needed: an unset variable inside of an unused default is an error. */
function valueOf({ name, operator, operands }: Expression, options: EvaluateOptions): string {
  const texts = operands.map((operand) => evaluate([operand], options));
  const variable = options.variables.get(name);
  if (!variable && options.isStrict && operator !== 'default') {
    throw new SubstitutionError(
      `variable not set (strict mode): "${name}"; set it in spec.postBuild, give a default as in "\${${name}:=value}", ` +
        `or write "$\${${name}}" for the text itself`,
    );
  }
  if (variable && variable.value === undefined) {
    throw new SubstitutionError(`variable "${name}" of ${variable.origin} is no UTF-8 text`);
  }
  return operate(operator, variable?.value ?? '', texts);
}
