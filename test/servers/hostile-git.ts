// A Git server over HTTP, protocol 2, that says and sends what it is told, whatever harm that may do.
import type { ServerResponse } from 'node:http';
import { listenOnLoopback } from './loopback.ts';

export interface HostileGit {
  /** Address of its only repository. */
  url: string;
  close(): Promise<void>;
}

export interface HostileGitAnswers {
  /** Lists refs; `line` makes a packet. */
  refs(response: ServerResponse, line: (text: string) => Buffer): void;
  /** What a fetch gets. */
  pack?: Buffer;
}

const flush = '0000';
const pieceBytes = 60_000;

/** A packet with a text or bytes. */
function packet(payload: string | Buffer): Buffer {
  const bytes = Buffer.from(payload as string);
  return Buffer.concat([Buffer.from((bytes.length + 4).toString(16).padStart(4, '0')), bytes]);
}

export async function startHostileGit(answers: HostileGitAnswers): Promise<HostileGit> {
  const server = await listenOnLoopback((request, response) => {
    response.on('error', () => undefined); // who is refused hangs up
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' });
      const lines = ['version 2\n', 'ls-refs\n', 'fetch=shallow\n', 'object-format=sha1\n'];
      response.end(Buffer.concat([...lines.map(packet), Buffer.from(flush)]));
      return;
    }
    const body: Buffer[] = [];
    request.on('data', (chunk: Buffer) => body.push(chunk));
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-result' });
      if (Buffer.concat(body).includes('command=ls-refs')) {
        answers.refs(response, (text) => packet(`${text}\n`));
        return;
      }
      response.write(packet('packfile\n'));
      const { pack = Buffer.alloc(0) } = answers;
      for (let at = 0; at < pack.length; at += pieceBytes) {
        response.write(packet(Buffer.concat([Buffer.from([1]), pack.subarray(at, at + pieceBytes)])));
      }
      response.end(flush);
    });
  });
  return {
    url: `${server.url}/hostile.git`,
    close: server.close,
  };
}

/** Its branch main is at a commit. */
export function mainAt(commit: string): HostileGitAnswers['refs'] {
  return (response, line) => response.end(Buffer.concat([line(`${commit} refs/heads/main`), Buffer.from(flush)]));
}
