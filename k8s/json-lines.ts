// Splits a byte stream into lines: the framing of the API server's watch streams.

/**
 * The lines of a stream without their line feeds; an empty line is left out, and so is an unfinished last one (a cut
 * connection). Throws a `RangeError` when one line grows past `maxLineBytes`.
 */
export async function* readLines(
  source: AsyncIterable<Uint8Array>,
  maxLineBytes: number,
): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  for await (const chunk of source) {
    let start = 0;
    for (let end = chunk.indexOf(10, start); end >= 0; end = chunk.indexOf(10, start)) {
      const tail = chunk.subarray(start, end);
      if (pendingBytes + tail.length > maxLineBytes) throw tooLong(maxLineBytes);
      const line = pendingBytes === 0 ? tail : Buffer.concat([...pending, tail]);
      pending = [];
      pendingBytes = 0;
      start = end + 1;
      if (line.length > 0) yield decoder.decode(line);
    }
    if (start < chunk.length) {
      pending.push(chunk.subarray(start));
      pendingBytes += chunk.length - start;
      if (pendingBytes > maxLineBytes) throw tooLong(maxLineBytes);
    }
  }
}

function tooLong(maxLineBytes: number): RangeError {
  return new RangeError(`a line of the stream is longer than ${maxLineBytes} bytes`);
}
