// Go durations, as the Flux APIs write them: `1m30s`, `500ms`, `1.5h`.

const unitsMs: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a Go duration. Throws an `Error` that quotes what is not one. */
export function parseDuration(text: string): number {
  if (text === '0') return 0;
  const parts = [...text.matchAll(/([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)/gy)];
  const length = parts.reduce((sum, part) => sum + part[0].length, 0);
  if (parts.length === 0 || length !== text.length) {
    throw new Error(`invalid duration "${text}": expected a Go duration such as "1m30s"`);
  }
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (unitsMs[unit as string] as number), 0);
}

/** A duration as Go prints it: `1m30s`, `2.345s`, `120ms`, `10m0s`, `0s`. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1) return '0s';
  if (durationMs < 1000) return `${Math.round(durationMs)}ms`;
  const milliseconds = Math.round(durationMs);
  const hours = Math.floor(milliseconds / 3_600_000);
  const minutes = Math.floor((milliseconds % 3_600_000) / 60_000);
  const seconds = (milliseconds % 60_000) / 1000;
  const tail = `${seconds}s`;
  if (hours > 0) return `${hours}h${minutes}m${tail}`;
  return minutes > 0 ? `${minutes}m${tail}` : tail;
}
