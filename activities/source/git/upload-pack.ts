// The client's side of `git-upload-pack` over any transport: list refs, fetch a pack. Protocol 2 where the server speaks
// it, else protocol 1. Streams the pack, so memory does not grow with it.
import { delimiterPacket, flushPacket, packetLine, textOf, type Packet } from './pkt-line.ts';
import type { RemoteRef } from './ref-selection.ts';
import { GitServerError } from './remote-error.ts';
import type { GitTransport } from './transport.ts';

/** What the server said of itself. */
export interface Advertisement {
  version: 1 | 2;
  capabilities: ReadonlySet<string>;
  /** The repository's URL after redirects. */
  url: string;
  /** Protocol 1 lists all refs in the advertisement. */
  refs: RemoteRef[];
}

/** What to fetch and what is there already. */
export interface FetchPackRequest {
  wants: string[];
  /** Commits whose trees are complete in the kept store. */
  haves: string[];
  /** Those of the haves whose parents are missing. */
  shallows: string[];
  /** 1 for the commit alone; undefined for all of its history. */
  depth?: number;
}

const agent = 'agent=continuo';
/** Refs are ~100 bytes each: a listing beyond this is not one that we can use. */
const maxListingBytes = 128 * 1024 * 1024;
/** Each takes some hundred bytes of memory. */
const maxListedRefs = 500_000;

/** Asks the server for its capabilities (protocol 1: and its refs). Throws for what is no smart Git server. */
export async function discover(transport: GitTransport, signal: AbortSignal): Promise<Advertisement> {
  const { url, packets } = await transport.advertise(signal);
  const lines: string[] = [];
  for await (const packet of limited(packets)) {
    if (packet.type !== 'data') continue;
    const line = textOf(packet.data);
    throwServerError(line);
    lines.push(line);
  }
  if (lines[0] === 'version 2') return { version: 2, capabilities: new Set(lines.slice(1)), url, refs: [] };
  return parseFirstVersion(lines[0] === 'version 1' ? lines.slice(1) : lines, url);
}

function parseFirstVersion(lines: string[], url: string): Advertisement {
  const capabilities = new Set((lines[0]?.split('\0')[1] ?? '').split(' ').filter(Boolean));
  const refs = new Map<string, RemoteRef>();
  for (const line of lines) {
    const [oid, name] = (line.split('\0')[0] ?? '').split(' ');
    if (!oid || !name || !/^[0-9a-f]{40,64}$/.test(oid) || name === 'capabilities^{}') continue;
    const peeled = name.endsWith('^{}') ? refs.get(name.slice(0, -3)) : undefined;
    if (peeled) peeled.peeledOid = oid;
    else refs.set(name, { name, oid });
  }
  return { version: 1, capabilities, url, refs: [...refs.values()] };
}

/** Lists refs; with prefixes a server of protocol 2 leaves out all others. */
export async function listRefs(
  transport: GitTransport,
  server: Advertisement,
  prefixes: string[],
  signal: AbortSignal,
): Promise<RemoteRef[]> {
  if (server.version === 1) {
    return server.refs.filter((ref) => prefixes.length === 0 || prefixes.some((prefix) => ref.name.startsWith(prefix)));
  }
  const body = Buffer.concat([
    packetLine('command=ls-refs'),
    packetLine(agent),
    delimiterPacket,
    packetLine('peel'),
    ...prefixes.map((prefix) => packetLine(`ref-prefix ${prefix}`)),
    flushPacket,
  ]);
  const refs: RemoteRef[] = [];
  for await (const packet of limited(await transport.exchange({ ...server, body }, signal))) {
    if (packet.type !== 'data') continue;
    const line = textOf(packet.data);
    throwServerError(line);
    const [oid, name, ...attributes] = line.split(' ');
    if (!oid || !name || oid === 'unborn') continue;
    const peeledOid = attributes.find((attribute) => attribute.startsWith('peeled:'))?.slice(7);
    refs.push(peeledOid ? { name, oid, peeledOid } : { name, oid });
  }
  return refs;
}

/**
 * Fetches a pack: the generator yields its bytes and ends after the last one. Throws {@link GitServerError} with the
 * server's words when it refuses, and an `Error` when the answer ends early.
 */
export async function* fetchPack(
  transport: GitTransport,
  server: Advertisement,
  request: FetchPackRequest,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const body = server.version === 2 ? fetchBody(request) : firstVersionBody(request, server.capabilities);
  yield* readPack(await transport.exchange({ ...server, body }, signal));
}

function fetchBody({ wants, haves, shallows, depth }: FetchPackRequest): Buffer {
  return Buffer.concat([
    packetLine('command=fetch'),
    packetLine(agent),
    delimiterPacket,
    packetLine('ofs-delta'),
    packetLine('no-progress'),
    // Without it a server does not look into the trees of a shallow have, and sends everything again.
    ...(haves.length > 0 ? [packetLine('thin-pack')] : []),
    ...wants.map((oid) => packetLine(`want ${oid}`)),
    ...shallows.map((oid) => packetLine(`shallow ${oid}`)),
    ...(depth ? [packetLine(`deepen ${depth}`)] : []),
    ...haves.map((oid) => packetLine(`have ${oid}`)),
    packetLine('done'),
    flushPacket,
  ]);
}

function firstVersionBody(request: FetchPackRequest, capabilities: ReadonlySet<string>): Buffer {
  const { wants, haves, shallows, depth } = request;
  const canBeShallow = capabilities.has('shallow');
  const ours = ['side-band-64k', 'ofs-delta', 'thin-pack', 'no-progress', 'multi_ack_detailed'].filter((name) =>
    capabilities.has(name),
  );
  return Buffer.concat([
    ...wants.map((oid, index) => packetLine(index === 0 ? `want ${oid} ${[...ours, agent].join(' ')}` : `want ${oid}`)),
    ...(canBeShallow ? shallows.map((oid) => packetLine(`shallow ${oid}`)) : []),
    ...(canBeShallow && depth ? [packetLine(`deepen ${depth}`)] : []),
    flushPacket,
    ...haves.map((oid) => packetLine(`have ${oid}`)),
    packetLine('done'),
  ]);
}

/** Passes over acknowledgements and shallow lines up to the pack, which comes in side band 1 and ends with a flush. */
async function* readPack(packets: AsyncIterable<Packet>): AsyncGenerator<Buffer> {
  let isInPack = false;
  for await (const packet of packets) {
    if (packet.type !== 'data') {
      if (isInPack && packet.type === 'flush') return;
      continue;
    }
    const band = packet.data[0];
    if (band === 1) {
      isInPack = true;
      yield packet.data.subarray(1);
    } else if (band === 3) {
      throw new GitServerError(clean(packet.data.subarray(1).toString('utf8')));
    } else if (band !== 2) {
      throwServerError(textOf(packet.data));
    }
  }
  throw new Error('the answer ended before the pack was complete');
}

function throwServerError(line: string): void {
  if (line.startsWith('ERR ')) throw new GitServerError(clean(line.slice(4)));
}

/** A server's words, short and on one line. */
function clean(text: string): string {
  const line = text.replaceAll(/[^\x20-\x7e]+/g, ' ').trim();
  return `"${line.slice(0, 300)}"`;
}

async function* limited(packets: AsyncIterable<Packet>): AsyncGenerator<Packet> {
  let sizeBytes = 0;
  let count = 0;
  for await (const packet of packets) {
    if (++count > maxListedRefs) throw new Error(`the server lists more than ${maxListedRefs} refs`);
    sizeBytes += packet.type === 'data' ? packet.data.length : 4;
    if (sizeBytes > maxListingBytes) throw new Error(`the server lists more than ${maxListingBytes} bytes of refs`);
    yield packet;
  }
}
