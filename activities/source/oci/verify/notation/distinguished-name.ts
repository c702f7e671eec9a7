// The subjects of certificates as trust policies write them (RFC 4514), under the rules of the Notary Project: no attribute
// twice, no attributes joined by `+`, and always a country, a state and an organization.

/** `CN` → `example`; `S` is read as `ST`. */
export type DistinguishedName = ReadonlyMap<string, string>;

const mandatory = ['C', 'ST', 'O'];

/** Throws an error that quotes the name and says what is wrong. */
export function parseDistinguishedName(text: string): DistinguishedName {
  const attributes = new Map<string, string>();
  for (const part of splitAt(text, ',')) {
    const name = part.trimStart();
    if (splitAt(name, '+').length > 1) throw new Error(`"${text}" joins attributes by "+", which is not supported`);
    const at = name.indexOf('=');
    if (at < 1) throw new Error(`"${text}" has a part without "=": expected for example "C=US, ST=WA, O=example"`);
    const type = typeOf(name.slice(0, at));
    const raw = trimUnescaped(name.slice(at + 1));
    if (raw.startsWith('#')) throw new Error(`"${text}" has a value in hexadecimal notation, which is not supported`);
    if (attributes.has(type)) throw new Error(`"${text}" has "${type}" twice`);
    attributes.set(type, unescape(raw));
  }
  const missing = mandatory.filter((type) => !attributes.get(type));
  if (missing.length > 0) throw new Error(`"${text}" has no ${missing.map((type) => `"${type}"`).join(', ')}`);
  return attributes;
}

/** The subject of a certificate as node prints it: one attribute in each line, values escaped. */
export function parseCertificateSubject(subject: string): DistinguishedName {
  return parseDistinguishedName(subject.split('\n').reverse().join(','));
}

/** True when everything in `part` is in `whole` with the same value. */
export function isSubsetOf(part: DistinguishedName, whole: DistinguishedName): boolean {
  return [...part].every(([type, value]) => whole.get(type) === value);
}

function typeOf(text: string): string {
  const type = text.trim().toUpperCase();
  return type === 'S' ? 'ST' : type;
}

/** The parts between separators that no backslash stands before. */
function splitAt(text: string, separator: string): string[] {
  const parts = [''];
  for (let index = 0; index < text.length; index++) {
    const character = text[index] ?? '';
    if (character === '\\') {
      parts[parts.length - 1] += character + (text[++index] ?? '');
    } else if (character === separator) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts;
}

/** Without spaces around it, unless the last is escaped. */
function trimUnescaped(text: string): string {
  const trimmed = text.trim();
  return /(^|[^\\])(\\\\)*\\$/.test(trimmed) ? `${trimmed} ` : trimmed;
}

/** `\,` is a comma; `\C3\A4` are the bytes of a letter. */
function unescape(value: string): string {
  const bytes: Buffer[] = [];
  for (let index = 0; index < value.length; index++) {
    const character = value[index] ?? '';
    if (character !== '\\') {
      bytes.push(Buffer.from(String.fromCodePoint(value.codePointAt(index) ?? 0)));
      if ((value.codePointAt(index) ?? 0) > 0xffff) index++;
      continue;
    }
    const hex = /^[0-9a-f]{2}/i.exec(value.slice(index + 1))?.[0];
    bytes.push(hex ? Buffer.from(hex, 'hex') : Buffer.from(value[index + 1] ?? ''));
    index += hex ? 2 : 1;
  }
  return Buffer.concat(bytes).toString('utf8');
}
