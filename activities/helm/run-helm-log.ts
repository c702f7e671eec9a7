// What helm writes to its error stream: the last lines of its log for events, and the error it ends with.

export interface HelmLog {
  add(chunk: Uint8Array): void;
  /** The last lines, oldest first. */
  lines(): string[];
  /** What helm says is wrong. */
  error(exitCode: number | null): string;
  /** A text without what is hidden. */
  hide(text: string): string;
}

/** Flux keeps as many (contract 2.2, "Last Helm logs"). */
const maxLines = 10;
const maxLineLength = 1_000;
const maxErrorBytes = 64 * 1024;
const maxErrorLength = 4_000;
/** A shorter text, `true` say, is hidden nowhere: it would hide half of every message and tells nothing. */
const minHiddenLength = 5;

/** A text without what is hidden. */
export function hideTexts(text: string, hidden: Iterable<string> = []): string {
  // The longest first, so that no part of one is left when another is within it.
  const secrets = [...new Set(hidden)]
    .filter((secret) => secret.trim().length >= minHiddenLength)
    .sort((a, b) => b.length - a.length);
  let result = text;
  for (const secret of secrets) result = result.replaceAll(secret, '***');
  return result;
}

/** `directory` is that of the process, whose path means nothing to a reader. */
export function createHelmLog(directory: string, hidden: Iterable<string> = []): HelmLog {
  let tail = Buffer.alloc(0);
  const secrets = [...hidden];
  const hide = (text: string): string => hideTexts(text.replaceAll(`${directory}/`, ''), secrets);

  const textLines = (): string[] => hide(tail.toString('utf8')).split('\n');

  return {
    add(chunk) {
      const joined = Buffer.concat([tail, chunk]);
      tail = joined.length > maxErrorBytes ? joined.subarray(joined.length - maxErrorBytes) : joined;
    },
    lines() {
      const lines = textLines().map(readableLine);
      const told = lines.filter((line) => line !== '' && !line.startsWith('Error: '));
      return told.slice(-maxLines).map((line) => shorten(line, maxLineLength));
    },
    error(exitCode) {
      const lines = textLines();
      const start = lines.findLastIndex((line) => line.startsWith('Error: '));
      if (start < 0)
        return `helm ended with ${exitCode === null ? 'a signal' : `code ${exitCode}`} and without a message`;
      const message = lines.slice(start).filter((line) => !isLogLine(line));
      const text = message
        .join('\n')
        .trim()
        .replace(/^Error: (?:(?:INSTALLATION|UPGRADE) FAILED: )?/, '');
      return shorten(text, maxErrorLength);
    },
    hide,
  };
}

const logLine = /^(?:time=(\S+) )?level=(\S+) msg=("(?:[^"\\]|\\.)*"|\S+)(.*)$/;

function isLogLine(line: string): boolean {
  return logLine.test(line);
}

/** `time=… level=DEBUG msg="text" key=value` as `text key=value`, with `warning:` or `error:` before it if it is one. */
function readableLine(line: string): string {
  const [, , level, quoted = '', rest = ''] = logLine.exec(line) ?? [];
  if (level === undefined) return line.trim();
  const message = quoted.startsWith('"') ? unquote(quoted) : quoted;
  const mark = level === 'ERROR' ? 'error: ' : level === 'WARN' ? 'warning: ' : '';
  return `${mark}${message}${rest}`.trim();
}

function unquote(text: string): string {
  try {
    return JSON.parse(text) as string;
  } catch {
    return text.slice(1, -1);
  }
}

function shorten(text: string, maxLength: number): string {
  return text.length > maxLength ? `${text.slice(0, maxLength)}...` : text;
}
