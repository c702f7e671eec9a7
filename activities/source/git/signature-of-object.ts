// Where a Git object carries its signature and which bytes it covers: commits in the header `gpgsig`, tags at their end.

/** The formats of signatures that Git knows. */
export type SignatureFormat = 'pgp' | 'ssh' | 'x509' | 'unknown';

export interface SignedObject {
  /** The armored signature. */
  signature: string;
  format: SignatureFormat;
  /** What was signed: the object without its signature. */
  payload: Buffer;
}

/** The headers of a tag that say what it names. */
export interface TagHeaders {
  /** Id of the tagged object. */
  object: string;
  /** `commit`, or `tag` for a tag of a tag. */
  type: string;
  /** The name that the tag was given when it was made. */
  name: string;
}

const newline = 0x0a;
const space = 0x20;
/** Signatures have about a kilobyte; what is far beyond one is none. */
const maxSignatureBytes = 64 * 1024;

const formats: readonly (readonly [string, SignatureFormat])[] = [
  ['-----BEGIN PGP SIGNATURE-----', 'pgp'],
  ['-----BEGIN PGP MESSAGE-----', 'pgp'],
  ['-----BEGIN SSH SIGNATURE-----', 'ssh'],
  ['-----BEGIN SIGNED MESSAGE-----', 'x509'],
];

/**
 * The signature of a raw commit; undefined when it has none. Throws an `Error` for a commit with several, of which nobody
 * could say which one counts.
 */
export function signatureOfCommit(commit: Buffer): SignedObject | undefined {
  const kept: Buffer[] = [];
  let signature: Buffer[] | undefined;
  let isSignature = false;
  let at = 0;
  for (; at < commit.length && commit[at] !== newline; ) {
    const end = endOfLine(commit, at);
    const line = commit.subarray(at, end);
    const isContinued = line[0] === space;
    if (!isContinued) {
      const name = line.toString('latin1', 0, Math.max(line.indexOf(space), 0));
      isSignature = name === 'gpgsig' || name === 'gpgsig-sha256';
      if (name === 'gpgsig') {
        if (signature) throw new Error('it has more than one signature');
        signature = [line.subarray('gpgsig '.length)];
      }
    } else if (isSignature && signature) signature.push(line.subarray(1));
    if (!isSignature) kept.push(line);
    at = end;
  }
  if (!signature) return undefined;
  return signed(Buffer.concat(signature), Buffer.concat([...kept, commit.subarray(at)]));
}

/** The signature of a raw tag; undefined when it has none. It is the last one that begins a line. */
export function signatureOfTag(tag: Buffer): SignedObject | undefined {
  const text = tag.toString('latin1');
  const start = Math.max(...formats.map(([begin]) => text.lastIndexOf(`\n${begin}`))) + 1;
  if (start === 0) return undefined;
  return signed(tag.subarray(start), tag.subarray(0, start));
}

/** The headers of a raw tag. Throws an `Error` for what is no tag. */
export function headersOfTag(tag: Buffer): TagHeaders {
  const head = tag.toString('utf8', 0, Math.max(tag.indexOf('\n\n'), 0));
  const [, object, type, name] = /^object ([0-9a-f]{40,64})\ntype ([a-z]+)\ntag ([^\n]+)/.exec(head) ?? [];
  if (!object || !type || !name) throw new Error('it is not a tag object');
  return { object, type, name };
}

function signed(signature: Buffer, payload: Buffer): SignedObject {
  if (signature.length > maxSignatureBytes) {
    throw new Error(`its signature has ${signature.length} bytes, more than the ${maxSignatureBytes} allowed`);
  }
  const text = signature.toString('latin1').trim();
  const format = formats.find(([begin]) => text.startsWith(begin))?.[1] ?? 'unknown';
  return { signature: text, format, payload };
}

/** After the line's newline. */
function endOfLine(bytes: Buffer, at: number): number {
  const end = bytes.indexOf(newline, at);
  return end < 0 ? bytes.length : end + 1;
}
