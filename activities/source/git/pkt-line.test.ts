import { describe, expect, it } from 'vitest';
import { delimiterPacket, flushPacket, packetLine, readPackets, textOf } from './pkt-line.ts';

async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(bytes: Buffer, size = 3): Promise<string[]> {
  const result: string[] = [];
  for await (const packet of readPackets(inChunks(bytes, size))) {
    result.push(packet.type === 'data' ? textOf(packet.data) : `<${packet.type}>`);
  }
  return result;
}

describe('packet lines', () => {
  it.each([1, 3, 1000])('reads back what was written, in chunks of %i bytes', async (size) => {
    const bytes = Buffer.concat([packetLine('command=fetch'), delimiterPacket, packetLine('want ü'), flushPacket]);
    expect(bytes.toString()).toContain('0012command=fetch\n0001');
    expect(await read(bytes, size)).toEqual(['command=fetch', '<delimiter>', 'want ü', '<flush>']);
  });

  it('refuses an end inside of a packet and what is no packet', async () => {
    await expect(read(Buffer.from('0010abc'))).rejects.toThrow('in the middle of a packet');
    await expect(read(Buffer.from('<html>'))).rejects.toThrow('not in the format of a Git server');
    await expect(read(Buffer.from('0003'))).rejects.toThrow('bad packet length');
    await expect(read(Buffer.from('fff5xxxx'))).rejects.toThrow('bad packet length');
  });
});
