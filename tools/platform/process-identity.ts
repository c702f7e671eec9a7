// Tells whether a recorded pid is still the process that was recorded. Pids are recycled, so a pid alone must never
// be signalled: it is compared with what identifies the process, its start time.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * What distinguishes this process from a later one with the same pid: boot id and start time on Linux, start time by
 * `ps` elsewhere. Empty when there is no such process.
 */
export function processIdentity(pid: number): string {
  if (process.platform !== 'linux') {
    return spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).stdout?.trim() ?? '';
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command in parentheses may hold spaces; state is the 1st field after it, start time the 20th.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z') return '';
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot}/${fields[19]}`;
  } catch {
    return '';
  }
}

/** Whether `pid` runs and is the process that `identity` was taken from. */
export function isAlive(pid: number, identity: string): boolean {
  const now = processIdentity(pid);
  return now !== '' && now === identity;
}
