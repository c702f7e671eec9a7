// What of a platform must survive `down` and `up`: its ports, in `<data>/platform.json`.
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type PortName, portNames } from './components.ts';

/** The content of `platform.json`. */
export interface Settings {
  ports: Record<PortName, number>;
}

/** Reads the settings, or gives undefined where no platform has been started yet. */
export async function readSettings(dataDir: string): Promise<Settings | undefined> {
  const path = settingsPath(dataDir);
  return existsSync(path) ? (JSON.parse(await readFile(path, 'utf8')) as Settings) : undefined;
}

/** Writes the settings. */
export async function writeSettings(dataDir: string, settings: Settings): Promise<void> {
  await writeFile(settingsPath(dataDir), `${JSON.stringify(settings, null, 2)}\n`);
}

/**
 * A port for each name: the wanted one where given, else the one of last time, else a random one. A port that somebody
 * else took since last time is replaced and reported; `inUse` names the ports that our own running processes hold.
 */
export async function choosePorts(
  wanted: Partial<Record<PortName, number>>,
  last: Partial<Record<PortName, number>>,
  inUse: ReadonlySet<PortName>,
  report: (line: string) => void,
): Promise<Record<PortName, number>> {
  const ports: Partial<Record<PortName, number>> = {};
  const taken = new Set<number>();
  for (const name of portNames) {
    const before = last[name];
    let port = inUse.has(name) && before ? before : (wanted[name] ?? before);
    if (port !== undefined && !inUse.has(name) && !(await isFree(port))) {
      const other = await randomPort(taken);
      report(`► port ${port} of ${name} is taken by another process, using ${other}`);
      port = other;
    }
    port ??= await randomPort(taken);
    taken.add(port);
    ports[name] = port;
  }
  return ports as Record<PortName, number>;
}

/** Below the range that the system gives to outgoing connections, which could take a port between choice and use. */
async function randomPort(taken: ReadonlySet<number>): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (!taken.has(port) && (await isFree(port))) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

function settingsPath(dataDir: string): string {
  return join(dataDir, 'platform.json');
}
