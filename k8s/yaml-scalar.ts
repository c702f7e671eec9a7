// What a plain YAML scalar means to kustomize. Kustomize decodes with go-yaml v3, so these are that library's rules: a
// mix of YAML 1.1 and 1.2 (octal `0644` and `0o644`, underscores in numbers, no `yes`/`on` booleans, no sexagesimal).

/** A JSON scalar, and whether kustomize may write it differently from how it was read. */
export interface ResolvedScalar {
  value: string | number | boolean | null;
  /** True for what only the real kustomize can render faithfully: timestamps. */
  isDelicate: boolean;
}

const constants = new Map<string, boolean | null>([
  ...['true', 'True', 'TRUE'].map((word): [string, boolean] => [word, true]),
  ...['false', 'False', 'FALSE'].map((word): [string, boolean] => [word, false]),
  ...['', '~', 'null', 'Null', 'NULL'].map((word): [string, null] => [word, null]),
]);

/** What YAML 1.1 has beside these. */
const yaml11Booleans = new Map<string, boolean>([
  ...['y', 'Y', 'yes', 'Yes', 'YES', 'on', 'On', 'ON'].map((word): [string, boolean] => [word, true]),
  ...['n', 'N', 'no', 'No', 'NO', 'off', 'Off', 'OFF'].map((word): [string, boolean] => [word, false]),
]);

const notInJson = /^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
const timestamp =
  /^\d{4}-\d{1,2}-\d{1,2}(?:[Tt]\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d+)?(?:Z|[-+]\d{2}:\d{2})| \d{1,2}:\d{1,2}:\d{1,2}(?:\.\d+)?)?$/;
const prefixedInteger = /^([-+]?)0([xXoObB])([0-9a-fA-F]+)$/;
const legacyOctal = /^([-+]?)0([0-7]+)$/;
const decimalInteger = /^[-+]?(?:0|[1-9][0-9]*)$/;
const float = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
const smallestInt64 = -(2n ** 63n);
const largestUint64 = 2n ** 64n - 1n;

/**
 * Resolves the text of a plain (unquoted, untagged) scalar.
 * Throws an `Error` for `.inf` and `.nan`, which JSON cannot hold, and for whole numbers that JavaScript would round;
 * `mayRound` is for places that hold a double anyway.
 */
export function resolveScalar(text: string, mayRound = false): ResolvedScalar {
  const constant = constants.get(text);
  if (constant !== undefined) return { value: constant, isDelicate: false };
  const first = text.charCodeAt(0);
  const isDigit = first >= 48 && first <= 57;
  if (!isDigit && text[0] !== '-' && text[0] !== '+' && text[0] !== '.') return { value: text, isDelicate: false };
  if (notInJson.test(text)) throw new Error(`${text} is not a number that an object can hold`);
  if (timestamp.test(text)) return { value: text, isDelicate: true };
  if (text[0] === '.') return { value: float.test(text) ? finite(text) : text, isDelicate: false };
  const plain = text.replaceAll('_', '');
  return { value: wholeNumber(plain, mayRound) ?? (float.test(plain) ? finite(plain, text) : text), isDelicate: false };
}

/**
 * The same by the rules of go-yaml v2, with which Kubernetes' own libraries read: `yes`, `on`, `n` and their like are
 * booleans as well.
 */
export function resolveYaml11Scalar(text: string, mayRound = false): ResolvedScalar {
  const constant = yaml11Booleans.get(text);
  return constant === undefined ? resolveScalar(text, mayRound) : { value: constant, isDelicate: false };
}

function wholeNumber(plain: string, mayRound: boolean): number | undefined {
  const integer = readInteger(plain);
  if (integer === undefined || integer < smallestInt64 || integer > largestUint64) return undefined;
  const number = Number(integer);
  if (!Number.isSafeInteger(number) && !mayRound) {
    throw new Error(`whole number ${plain} is beyond ±9007199254740991 and would lose digits; quote it if it is text`);
  }
  return number;
}

function readInteger(plain: string): bigint | undefined {
  const prefixed = prefixedInteger.exec(plain);
  if (prefixed) return signed(prefixed[1], `0${prefixed[2]?.toLowerCase()}${prefixed[3]}`);
  const octal = legacyOctal.exec(plain);
  if (octal) return signed(octal[1], `0o${octal[2]}`);
  return decimalInteger.test(plain) ? signed(plain[0], plain.replace(/^[-+]/, '')) : undefined;
}

function signed(sign: string | undefined, digits: string): bigint | undefined {
  try {
    return sign === '-' ? -BigInt(digits) : BigInt(digits);
  } catch {
    return undefined; // digits outside of the base, e.g. 0o8: text
  }
}

/** A number too large for a double stays text, as in Go; -0 becomes 0, as in JSON. */
function finite(plain: string, text = plain): number | string {
  const number = Number(plain);
  return Number.isFinite(number) ? number + 0 : text;
}
