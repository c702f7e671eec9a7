// Programs that no package of ours brings, from packages of Debian or Ubuntu: downloaded and unpacked into the cache,
// without root and without a change to the machine. apt checks their signatures.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from '../../tools/platform/lock.ts';
import { cacheDirectory } from '../../tools/platform/package-root.ts';

/** The folder that these packages are unpacked into; they are fetched when it is missing. */
export async function unpackedDebianPackages(name: string, packages: string[]): Promise<string> {
  const directory = join(cacheDirectory(), `debian-${name}-${process.arch}`);
  if (existsSync(directory)) return directory;
  return await withLock(join(cacheDirectory(), 'locks', `debian-${name}`), {}, async () => {
    if (existsSync(directory)) return directory;
    mkdirSync(cacheDirectory(), { recursive: true });
    const work = mkdtempSync(join(cacheDirectory(), 'debian-'));
    try {
      download(work, packages);
      for (const file of readdirSync(work).filter((entry) => entry.endsWith('.deb'))) {
        execFileSync('dpkg', ['-x', join(work, file), join(work, 'root')], { stdio: 'pipe' });
      }
      renameSync(join(work, 'root'), directory);
    } catch (error) {
      throw new Error(
        `packages ${packages.join(', ')} could not be fetched (${(error as Error).message.split('\n')[0]}): ` +
          'this needs apt-get and dpkg (Debian, Ubuntu) and a package mirror; else install them by hand',
        { cause: error },
      );
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
    return directory;
  });
}

/** With the package lists of the machine; where there are none, with lists of our own. */
function download(work: string, packages: string[]): void {
  const apt = (...args: string[]): void => {
    execFileSync('apt-get', ['-q', '-o', 'APT::Sandbox::User=', '-o', 'Debug::NoLocking=1', ...args], {
      cwd: work,
      stdio: 'pipe',
      timeout: 150_000,
    });
  };
  try {
    apt('download', ...packages);
  } catch {
    mkdirSync(join(work, 'apt/state/lists/partial'), { recursive: true });
    mkdirSync(join(work, 'apt/cache/archives/partial'), { recursive: true });
    const own = [
      `Dir::State=${join(work, 'apt/state')}`,
      'Dir::State::status=/var/lib/dpkg/status',
      `Dir::Cache=${join(work, 'apt/cache')}`,
      'Acquire::Languages=none',
    ].flatMap((setting) => ['-o', setting]);
    apt(...own, 'update');
    apt(...own, 'download', ...packages);
  }
}
