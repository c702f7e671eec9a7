// The helm processes of a worker, found by the private directory that each of them works in: also those whose worker is
// gone.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

export interface HelmProcess {
  pid: number;
  /** `install`, `upgrade`, …; undefined for a shell around it. */
  action?: string;
  /** Its command line. */
  args: readonly string[];
}

/** All processes that work below the data directory of a worker. */
export function helmProcesses(workerDataDir: string): HelmProcess[] {
  const place = join(workerDataDir, 'helm', 'helm.');
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((name) => {
    try {
      if (!readlinkSync(`/proc/${name}/cwd`).startsWith(place)) return [];
      const args = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      const [binary = '', action] = args;
      return [{ pid: Number(name), action: /(^|\/)helm[^/]*$/.test(binary) ? action : undefined, args }];
    } catch {
      return []; // it has ended, or is another user's
    }
  });
}
