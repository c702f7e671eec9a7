// A repository of The Update Framework with one target, signed with keys of its own, over HTTP.
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface TufRepository {
  url: string;
  /** The first root metadata, which trust begins with. */
  root: string;
  requests: string[];
  /** What goes wrong; may be changed between requests. */
  faults: { status?: number; delayMs?: number; isForged?: boolean };
  /** Publishes another content of the target. `lifeSeconds` is that of the timestamp. */
  publish(content: string, lifeSeconds?: number): void;
  close(): Promise<void>;
}

const roles = ['root', 'timestamp', 'snapshot', 'targets'] as const;

export async function startTufRepository(target: string, content: string): Promise<TufRepository> {
  const key = keyOf();
  const stranger = keyOf();
  const keys = { [key.id]: key.json };
  const role = { keyids: [key.id], threshold: 1 };
  const root = signed({
    _type: 'root',
    consistent_snapshot: true,
    keys,
    roles: Object.fromEntries(roles.map((name) => [name, role])),
  });
  const requests: string[] = [];
  const faults: TufRepository['faults'] = {};
  let files = new Map<string, string>();
  let version = 0;

  function signed(body: object, lifeSeconds = 3600, at = 1, by = key): string {
    const expires = new Date(Date.now() + lifeSeconds * 1000).toISOString().replace(/\..*/, 'Z');
    const whole = { ...body, spec_version: '1.0.0', version: at, expires };
    const sig = sign(null, Buffer.from(canonical(whole)), by.private).toString('hex');
    return JSON.stringify({ signed: whole, signatures: [{ keyid: key.id, sig }] });
  }

  function publish(text: string, lifeSeconds = 3600): void {
    version += 1;
    const by = faults.isForged ? stranger : key;
    const sha256 = createHash('sha256').update(text).digest('hex');
    const targets = { [target]: { length: Buffer.byteLength(text), hashes: { sha256 } } };
    files = new Map([
      [`/${version}.targets.json`, signed({ _type: 'targets', targets }, 3600, version, by)],
      [
        `/${version}.snapshot.json`,
        signed({ _type: 'snapshot', meta: { 'targets.json': { version } } }, 3600, version, by),
      ],
      [
        '/timestamp.json',
        signed({ _type: 'timestamp', meta: { 'snapshot.json': { version } } }, lifeSeconds, version, by),
      ],
      [`/targets/${sha256}.${target}`, text],
    ]);
  }
  publish(content);

  const server = createServer((incoming, response) => {
    const path = incoming.url ?? '/';
    requests.push(path);
    const file = files.get(path);
    const answer = (): void =>
      void response.writeHead(faults.status ?? (file === undefined ? 404 : 200)).end(faults.status ? 'no' : file);
    if (faults.delayMs) setTimeout(answer, faults.delayMs);
    else answer();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    root,
    requests,
    faults,
    publish,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function keyOf(): { id: string; json: object; private: KeyObject } {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
  const json = { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: raw.toString('hex') } };
  return { id: createHash('sha256').update(canonical(json)).digest('hex'), json, private: privateKey };
}

/** JSON in the one form that is signed: keys in order, nothing between. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return `{${entries.map(([name, item]) => `${JSON.stringify(name)}:${canonical(item)}`).join(',')}}`;
}
