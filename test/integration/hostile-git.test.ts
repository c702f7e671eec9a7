// Git servers that mean harm: each is left within its limits of time and memory, with a word that says why.
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createGitSourceFixture, failureOf } from '../servers/git-source-fixture.ts';
import { commitOf, insertingDelta, objectId, packEntry, packOf, packTypes } from '../servers/git-pack.ts';
import { type HostileGit, type HostileGitAnswers, mainAt, startHostileGit } from '../servers/hostile-git.ts';
import { takeInApart } from '../servers/take-in.ts';

const opened: { close(): unknown }[] = [];

async function serve(answers: HostileGitAnswers): Promise<HostileGit> {
  const server = await startHostileGit(answers);
  opened.push(server);
  return server;
}

/** A repository whose main is a commit, with what else the pack has. */
async function servePack(commit: Buffer, ...entries: Buffer[]): Promise<HostileGit> {
  const pack = packOf([packEntry(packTypes.commit, commit), ...entries]);
  return await serve({ refs: mainAt(objectId('commit', commit)), pack });
}

/** What a repository ends with, within a `spec.timeout`. */
async function reconciled(url: string, timeout = '20s'): Promise<{ reason: string; message: string }> {
  const fixture = createGitSourceFixture();
  try {
    fixture.use('demo', url, { timeout });
    return await failureOf(fixture.reconcile('demo'));
  } finally {
    fixture.close();
  }
}

afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});

describe('a Git server', () => {
  it('that lists refs without end is left, in bounded memory', async () => {
    let sentBytes = 0;
    const { url } = await serve({
      refs(response, line) {
        const lines = Buffer.concat(
          Array.from({ length: 1_000 }, (_, at) => line(`${'a'.repeat(40)} refs/heads/main${sentBytes + at}`)),
        );
        const more = (): void => {
          while (!response.destroyed) {
            sentBytes += lines.length;
            if (!response.write(lines)) return void response.once('drain', more);
          }
        };
        more();
      },
    });
    const ended = await takeInApart('git', url);
    expect(ended).toMatchObject({
      reason: 'GitOperationFailed',
      message: expect.stringMatching(/the server lists more than \d+ (?:bytes of )?refs/) as string,
    });
    expect(ended.megabytes).toBeLessThan(400);
    expect(sentBytes).toBeLessThan(200 * 1024 * 1024);
  }, 60_000);

  it('that sends a byte now and then is left after spec.timeout', async () => {
    let timer: NodeJS.Timeout | undefined;
    const { url } = await serve({
      refs(response) {
        timer = setInterval(() => response.write('0'), 50);
        response.once('close', () => clearInterval(timer));
      },
    });
    expect(await reconciled(url, '400ms')).toEqual({
      reason: 'GitOperationFailed',
      message: `listing the refs of "${url}" timed out after 0.4s: the limit is spec.timeout`,
    });
  });

  async function webServer(answer: (path: string, response: ServerResponse) => void): Promise<string> {
    const server: Server = createServer((request, response) => answer(request.url ?? '', response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    opened.push({
      close: () => {
        server.closeAllConnections();
        return new Promise((resolve) => server.close(resolve));
      },
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/a.git`;
  }

  it('that redirects without end, or to something else than the web, is left', async () => {
    const circle = await webServer((path, response) => response.writeHead(302, { location: `${path}1` }).end());
    expect(await reconciled(circle)).toEqual({
      reason: 'GitOperationFailed',
      message: `"${circle}" redirects more than 5 times`,
    });
    const file = await webServer((_, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end());
    expect((await reconciled(file)).message).toContain('redirects to something that is no http(s) URL');
  });

  it('that answers with a page is told', async () => {
    const page = await webServer((_, response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'.repeat(100_000)),
    );
    expect(await reconciled(page)).toEqual({
      reason: 'GitOperationFailed',
      message: expect.stringContaining('the server does not answer as a Git server') as string,
    });
  });
});

describe('a pack', () => {
  it('with a directory or a message of many megabytes is refused in little memory', async () => {
    const blob = Buffer.from('a');
    const name = Buffer.concat([Buffer.from('100644 a\0'), Buffer.from(objectId('blob', blob), 'hex')]);
    const tree = Buffer.alloc(200 * 1024 * 1024, name);
    const commit = commitOf(objectId('tree', tree));
    const giant = await servePack(commit, packEntry(packTypes.tree, tree), packEntry(packTypes.blob, blob));
    const ended = await takeInApart('git', giant.url);
    expect(ended).toMatchObject({
      reason: 'GitOperationFailed',
      message: `the commit has a tree of ${tree.length} bytes, more than the 16777216 allowed`,
    });
    expect(ended.megabytes).toBeLessThan(500);

    const talkative = commitOf(objectId('tree', Buffer.alloc(0)), '\n'.repeat(5 * 1024 * 1024));
    expect(await reconciled((await servePack(talkative, packEntry(packTypes.tree, Buffer.alloc(0)))).url)).toEqual({
      reason: 'GitOperationFailed',
      message: `the commit has a commit of ${talkative.length} bytes, more than the 4194304 allowed`,
    });
  }, 60_000);

  it('with deltas upon deltas of many megabytes takes no more memory than the largest', async () => {
    const bytes = 4 * 1024 * 1024;
    let base = Buffer.alloc(bytes);
    const deltas: Buffer[] = [];
    const whole = packEntry(packTypes.blob, base);
    for (let round = 1; round <= 60; round++) {
      const next = Buffer.alloc(bytes + round);
      deltas.push(
        packEntry(packTypes.deltaByOid, insertingDelta(base.length, next.length), { base: objectId('blob', base) }),
      );
      base = next;
    }
    const tree = Buffer.concat([Buffer.from('100644 a\0'), Buffer.from(objectId('blob', base), 'hex')]);
    const commit = commitOf(objectId('tree', tree));
    const { url } = await servePack(commit, packEntry(packTypes.tree, tree), whole, ...deltas);
    const ended = await takeInApart('git', url);
    expect(ended.files).toEqual(['a']);
    expect(ended.megabytes).toBeLessThan(250);
  }, 60_000);
});
