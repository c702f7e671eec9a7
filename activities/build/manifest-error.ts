// An error with a place in a file: `apps/web/deployment.yaml:12:5: …`.

/** Where in a text something is wrong; `line` and `column` count from 1, `document` from 1. */
export interface Place {
  file: string;
  line: number;
  column: number;
  document: number;
}

/** A file that cannot be read as manifests or as a kustomization; its message names file, line, column and document. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
  readonly place: Place;
  constructor(place: Place, problem: string, text: string) {
    const quoted = quoteLine(text, place.line);
    const where = place.document > 1 ? ` (document ${place.document})` : '';
    super(`${place.file}:${place.line}:${place.column}: ${problem}${where}${quoted ? `: "${quoted}"` : ''}`);
    this.place = place;
  }
}

const maxQuotedLength = 120;

/** The line as it stands, or only its key when the text may hold a secret. */
function quoteLine(text: string, line: number): string {
  const whole = (text.split('\n', line)[line - 1] ?? '').trim();
  const shown = mayHoldSecrets(text) ? keyOf(whole) : whole;
  return shown.length > maxQuotedLength ? `${shown.slice(0, maxQuotedLength)}…` : shown;
}

function mayHoldSecrets(text: string): boolean {
  return /["']?kind["']?:\s*["']?(?:Secret|List)\b/.test(text) || /secretGenerator|\bsops["']?:/.test(text);
}

function keyOf(line: string): string {
  const key = /^(?:- )?["']?[\w./-]+["']?\s*:(?=\s|$)/.exec(line)?.[0];
  if (key === undefined) return '';
  return key.length === line.length ? key : `${key} …`;
}
