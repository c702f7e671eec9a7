// Git's packet lines: four hexadecimal digits of length, then the payload; 0000, 0001 and 0002 are signals.

/** One packet as it was read. */
export type Packet = { type: 'data'; data: Buffer } | { type: 'flush' | 'delimiter' | 'end' };

const maxPacketBytes = 65_520;

/** A data packet with a line of text; the newline is added. */
export function packetLine(line: string): Buffer {
  const payload = Buffer.from(`${line}\n`);
  if (payload.length + 4 > maxPacketBytes) throw new Error(`a packet line of ${payload.length} bytes is too long`);
  return Buffer.concat([Buffer.from((payload.length + 4).toString(16).padStart(4, '0')), payload]);
}

export const flushPacket = Buffer.from('0000');
export const delimiterPacket = Buffer.from('0001');

/** Reads packets until the stream ends. Throws an `Error` for bytes that are no packet and for an end inside of one. */
export async function* readPackets(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Packet> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    rest = rest.length > 0 ? Buffer.concat([rest, bytes]) : bytes;
    let offset = 0;
    while (rest.length - offset >= 4) {
      const length = parseLength(rest, offset);
      if (length === 0 || length === 1 || length === 2) {
        yield { type: length === 0 ? 'flush' : length === 1 ? 'delimiter' : 'end' };
        offset += 4;
        continue;
      }
      if (rest.length - offset < length) break;
      yield { type: 'data', data: rest.subarray(offset + 4, offset + length) };
      offset += length;
    }
    rest = rest.subarray(offset);
  }
  if (rest.length > 0) throw new Error('the answer ended in the middle of a packet');
}

function parseLength(bytes: Buffer, offset: number): number {
  const digits = bytes.toString('latin1', offset, offset + 4);
  const length = /^[0-9a-fA-F]{4}$/.test(digits) ? Number.parseInt(digits, 16) : -1;
  if (length < 0 || length === 3 || length > maxPacketBytes) {
    throw new Error('the answer is not in the format of a Git server (bad packet length)');
  }
  return length;
}

/** The text of a data packet without its newline. */
export function textOf(data: Buffer): string {
  return data.toString('utf8').replace(/\n$/, '');
}
