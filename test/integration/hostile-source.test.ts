// Sources made with bad intent, taken in through the real code in part in a process of its own: each is refused with a word that
// says why, or loses what no artifact may hold, and takes a bounded amount of memory.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestRepository, startTestGitServer, type TestGitServer } from '../servers/git.ts';
import { takeIn, takeInApart } from '../servers/take-in.ts';

describe('a hostile repository', () => {
  let server: TestGitServer;
  let count = 0;

  beforeAll(async () => {
    server = await startTestGitServer();
  });
  afterAll(() => server.close());

  /** A repository whose main is a commit of a tree that no `git add` would make. */
  function repository(makeTree: (write: Writer) => string): string {
    const name = `hostile-${++count}`;
    const directory = join(server.root, `${name}.git`);
    execFileSync('git', ['init', '-q', '--bare', '-b', 'main', directory]);
    const git = (args: string[], input?: Buffer): string =>
      execFileSync('git', ['-c', 'core.compression=1', ...args], { cwd: directory, input, maxBuffer: 1024 ** 3 })
        .toString()
        .trim();
    const hash = (type: string, content: Buffer): string =>
      git(['hash-object', '-w', '--literally', '-t', type, '--stdin'], content);
    const tree = makeTree({
      blob: (content) => hash('blob', Buffer.from(content as string)),
      tree: (entries) =>
        hash(
          'tree',
          Buffer.concat(
            entries.map(([mode, entryName, oid]) =>
              Buffer.concat([
                Buffer.from(`${mode} `),
                Buffer.from(entryName as string),
                Buffer.from([0]),
                Buffer.from(oid, 'hex'),
              ]),
            ),
          ),
        ),
    });
    const who = 'Mallory <m@example.test> 1793534400 +0000';
    const commit = hash('commit', Buffer.from(`tree ${tree}\nauthor ${who}\ncommitter ${who}\n\nhostile\n`));
    git(['update-ref', 'refs/heads/main', commit]);
    return `${server.url}/${name}.git`;
  }

  interface Writer {
    blob(content: string | Buffer): string;
    tree(entries: [mode: string, name: string | Buffer, oid: string][]): string;
  }

  it.each<[string, (write: Writer) => string, string, string]>([
    [
      '..',
      ({ blob, tree }) => tree([['40000', '..', tree([['100644', 'a', blob('a')]])]]),
      'ArchiveOperationFailed',
      'leaves the archive by ".."',
    ],
    [
      '../../etc/passwd as one name',
      ({ blob, tree }) => tree([['100644', '../../etc/passwd', blob('a')]]),
      'ArchiveOperationFailed',
      'leaves the archive by ".."',
    ],
    [
      'an absolute name',
      ({ blob, tree }) => tree([['100644', '/etc/passwd', blob('a')]]),
      'ArchiveOperationFailed',
      'path "/etc/passwd" is absolute',
    ],
    [
      'the same name twice',
      ({ blob, tree }) =>
        tree([
          ['100644', 'a', blob('a')],
          ['100644', 'a', blob('b')],
        ]),
      'ArchiveOperationFailed',
      'path "a" is there twice',
    ],
    [
      'a file and a directory of one name',
      ({ blob, tree }) =>
        tree([
          ['100644', 'a', blob('a')],
          ['40000', 'a', tree([['100644', 'b', blob('b')]])],
        ]),
      'ArchiveOperationFailed',
      'is a file and a directory',
    ],
    [
      'a directory that is itself',
      ({ blob, tree }) => tree([['40000', '.', tree([['100644', 'a', blob('a')]])]]),
      'ArchiveOperationFailed',
      'is not normal (empty or "." segment)',
    ],
    [
      'a very long name',
      ({ blob, tree }) => tree([['100644', 'n'.repeat(300), blob('a')]]),
      'ArchiveOperationFailed',
      'has a name longer than 255 bytes',
    ],
    [
      'a file below fifty directories of long names',
      ({ blob, tree }) => {
        let oid = tree([['100644', 'a', blob('a')]]);
        for (let depth = 0; depth < 50; depth++) oid = tree([['40000', 'd'.repeat(99), oid]]);
        return oid;
      },
      'ArchiveOperationFailed',
      'has a path of more than 4096 characters: "dddd',
    ],
    [
      'a name that is not UTF-8',
      ({ blob, tree }) => tree([['100644', Buffer.from('caf\xe9', 'latin1'), blob('a')]]),
      'GitOperationFailed',
      'a file "caf\\xe9" whose name is not UTF-8: rename it',
    ],
  ])('is refused: %s', async (_name, makeTree, reason, message) => {
    const ended = await takeIn('git', repository(makeTree));
    expect([ended.reason, ended.message]).toEqual([reason, expect.stringContaining(message)]);
  });

  it('loses its symbolic links, its devices and its .git directory', async () => {
    const url = repository(({ blob, tree }) =>
      tree([
        ['40000', '.git', tree([['100755', 'hook', blob('#!/bin/sh')]])],
        ['100644', 'a.yaml', blob('a: 1')],
        ['120000', 'link', blob('/etc/passwd')],
        ['20666', 'null', blob('device')],
        ['120000', 'up', blob('../..')],
      ]),
    );
    expect((await takeIn('git', url)).files).toEqual(['a.yaml']);
  });

  it('keeps names that only differ in case, as Git does', async () => {
    const url = repository(({ blob, tree }) =>
      tree([
        ['100644', 'A.yaml', blob('a: 1')],
        ['100644', 'a.yaml', blob('a: 2')],
      ]),
    );
    expect((await takeIn('git', url)).files).toEqual(['A.yaml', 'a.yaml']);
  });

  it('is refused with more than 100,000 files, with as many links, and with as many directories and no file', async () => {
    const names = Array.from({ length: 1_000 }, (_, index) => `f${String(index).padStart(4, '0')}`);
    const files = repository(({ blob, tree }) => {
      const oid = blob('a');
      const thousand = tree(names.map((name) => ['100644', name, oid]));
      return tree(names.slice(0, 101).map((name) => ['40000', name, thousand]));
    });
    const links = repository(({ blob, tree }) => {
      const oid = blob('/etc/passwd');
      const thousand = tree(names.map((name) => ['120000', name, oid]));
      return tree(names.slice(0, 101).map((name) => ['40000', name, thousand]));
    });
    // Ten directories in each of ten, and so on: 10^30 of them in 31 objects.
    const bomb = repository(({ tree }) => {
      let oid = tree([]);
      for (let depth = 0; depth < 30; depth++) oid = tree(names.slice(0, 10).map((name) => ['40000', name, oid]));
      return oid;
    });
    expect((await takeIn('git', links)).reason).toBe('ArchiveOperationFailed');
    for (const url of [files, bomb]) {
      const ended = await takeInApart('git', url);
      expect(ended).toMatchObject({
        reason: 'ArchiveOperationFailed',
        message: 'the commit has more than the 100000 files and directories allowed',
      });
      expect(ended.megabytes).toBeLessThan(300);
    }
  });

  it('is refused with files that are small only while they are packed', async () => {
    const one = repository(({ blob, tree }) => tree([['100644', 'zeros', blob(Buffer.alloc(300 * 1024 * 1024))]]));
    const many = repository(({ blob, tree }) => {
      const oid = blob(Buffer.alloc(60 * 1024 * 1024));
      return tree(Array.from({ length: 40 }, (_, index) => ['100644', `zeros-${index + 10}`, oid]));
    });
    const large = await takeInApart('git', one);
    expect(large.message).toBe(
      'the commit has a file of 314572800 bytes, more than the 268435456 allowed: keep it somewhere else',
    );
    const together = await takeInApart('git', many);
    expect(together.reason).toBe('ArchiveOperationFailed');
    expect(together.message).toContain('its files have more than the 1073741824 bytes allowed together');
    for (const { megabytes } of [large, together]) expect(megabytes).toBeLessThan(450);
  }, 120_000);
});

describe('hostile ignore rules', () => {
  let server: TestGitServer;
  beforeAll(async () => {
    server = await startTestGitServer();
  });
  afterAll(() => server.close());

  it.each<[string, (put: (path: string, content: string) => void) => void, string]>([
    [
      'large files in many directories',
      (put) => {
        for (let at = 0; at < 20; at++) put(`d${at}/.sourceignore`, '# comment\n'.repeat(10_000));
      },
      'the ignore files have more than the 1048576 bytes allowed',
    ],
    [
      'very many patterns',
      (put) => put('.sourceignore', 'a\n'.repeat(60_000)),
      'have more than the 50000 patterns allowed',
    ],
    [
      'patterns that are compared for hours',
      (put) => {
        put('.sourceignore', Array.from({ length: 8_000 }, (_, at) => `*${'a'.repeat(100)}${at}`).join('\n'));
        for (let at = 0; at < 300; at++) put(`${'a'.repeat(200)}${at}`, 'x');
      },
      'the ignore rules take too many comparisons for so many files: use fewer patterns',
    ],
  ])('are refused: %s', async (name, write, message) => {
    const repository = createTestRepository(server.root, name.replaceAll(' ', '-'));
    write((path, content) => repository.write(path, content));
    repository.commit('hostile');
    const ended = await takeIn('git', `${server.url}/${name.replaceAll(' ', '-')}.git`);
    expect([ended.reason, ended.message]).toEqual(['SourceIgnoreError', expect.stringContaining(message)]);
  });
});

describe('a hostile artifact', () => {
  let server: Server;
  let url: string;
  const contents = new Map<string, Buffer>();

  beforeAll(async () => {
    server = createServer((request, response) => {
      const content = contents.get(request.url ?? '');
      response.writeHead(content ? 200 : 404).end(content);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  function serve(content: Buffer): [url: string, digest: string] {
    const hex = createHash('sha256').update(content).digest('hex');
    contents.set(`/${hex}.tar.gz`, content);
    return [`${url}/${hex}.tar.gz`, `sha256:${hex}`];
  }

  interface Entry {
    name: string | Buffer;
    type?: string;
    link?: string;
    content?: Buffer;
    /** As the header says it. @default that of the content */
    sizeBytes?: number;
  }

  function tarOf(...entries: Entry[]): Buffer {
    const blocks = entries.map(({ name, type = '0', link = '', content = Buffer.alloc(0), sizeBytes }) => {
      const head = Buffer.alloc(512);
      Buffer.from(name as string).copy(head, 0);
      head.write('0000644\0', 100);
      head.write(`${(sizeBytes ?? content.length).toString(8).padStart(11, '0')}\0`, 124);
      head.write('        ', 148);
      head.write(type, 156);
      head.write(link, 157);
      head.write('ustar\x0000', 257);
      const sum = head.reduce((total, byte) => total + byte, 0);
      head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
      return Buffer.concat([head, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
    });
    return Buffer.concat([...blocks, Buffer.alloc(1024)]);
  }

  /** What GNU tar writes before a file with a long name. */
  const longName = (name: string): Entry => ({ name: '././@LongLink', type: 'L', content: Buffer.from(name) });

  it.each<[string, Entry[], string]>([
    ['../', [{ name: '../evil' }], 'entry "../evil" leaves the archive by ".."'],
    ['a/../../', [{ name: 'a/../../evil' }], 'leaves the archive by ".."'],
    ['an absolute path', [{ name: '/etc/cron.d/evil' }], 'entry "/etc/cron.d/evil" is absolute'],
    ['a character device', [{ name: 'null', type: '3' }], 'entry "null" is a device'],
    ['a block device', [{ name: 'sda', type: '4' }], 'entry "sda" is a device'],
    ['a named pipe', [{ name: 'pipe', type: '6' }], 'entry "pipe" is a device'],
    [
      'a name that is not UTF-8',
      [{ name: Buffer.from('caf\xe9', 'latin1') }],
      'entry "caf\\xe9" has a name that is not UTF-8',
    ],
    ['a very long name', [longName('n'.repeat(300)), { name: 'n' }], 'has a name longer than 255 bytes'],
    ['a very long path', [longName('n/'.repeat(3_000)), { name: 'n' }], 'is longer than 4096 bytes'],
    ['a name of megabytes', [longName('n'.repeat(2 * 1024 * 1024))], 'header has 2097152 bytes, more than 1048576'],
    ['the same file twice', [{ name: 'a' }, { name: 'a' }], 'is in the archive twice'],
    ['a file below a file', [{ name: 'a' }, { name: 'a/b' }], 'cannot be unpacked'],
    ['an end that comes too early', [{ name: 'a', sizeBytes: 10_000 }], 'the archive ends inside a file'],
  ])('is refused: %s', async (_name, entries, message) => {
    const ended = await takeIn('artifact', ...serve(gzipSync(tarOf(...entries))));
    expect([ended.reason, ended.message]).toEqual(['ArtifactFailed', expect.stringContaining(message)]);
  });

  it('loses its links, so that nothing is written or read through them', async () => {
    const tar = tarOf(
      { name: 'a.yaml', content: Buffer.from('a: 1\n') },
      { name: 'out', type: '2', link: '/tmp' },
      { name: 'out/evil', content: Buffer.from('x') },
      { name: 'hard', type: '1', link: '/etc/passwd' },
    );
    expect((await takeIn('artifact', ...serve(gzipSync(tar)))).files).toEqual(['a.yaml', 'out/evil']);
  });

  it('is refused as a bomb, by its size and by its number of files, in little memory', async () => {
    const giant = Buffer.concat([
      tarOf({ name: 'zeros', sizeBytes: 4 * 1024 ** 3 }).subarray(0, 512),
      Buffer.alloc(32 * 1024 * 1024),
    ]);
    // Members of gzip may follow one after the other: 1.1 GiB of zeros in a few hundred kilobytes.
    const zeros = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const bomb = Buffer.concat([gzipSync(giant), ...Array.from({ length: 18 }, () => zeros)]);
    const sized = await takeInApart('artifact', ...serve(bomb));
    expect([sized.reason, sized.message]).toEqual([
      'ArtifactFailed',
      expect.stringContaining('the unpacked archive has more than the 1073741824 bytes allowed'),
    ]);

    const many = tarOf(...Array.from({ length: 100_001 }, (_, index) => ({ name: `l${index}`, type: '2', link: 'x' })));
    const counted = await takeInApart('artifact', ...serve(gzipSync(many)));
    expect(counted.message).toContain('the archive has more than the 100000 files and directories allowed');
    for (const { megabytes } of [sized, counted]) expect(megabytes).toBeLessThan(300);
  }, 120_000);

  it('is refused when it has something behind its end, or ends in the middle', async () => {
    const whole = gzipSync(tarOf({ name: 'a.yaml', content: Buffer.from('a: 1\n') }));
    const withRest = Buffer.concat([whole, Buffer.from('something else'.repeat(1_000))]);
    for (const [content, words] of [
      [withRest, 'cannot be unpacked: incorrect header check'],
      [whole.subarray(0, 40), 'cannot be unpacked: unexpected end of file'],
    ] as const) {
      expect(await takeIn('artifact', ...serve(content))).toMatchObject({
        reason: 'ArtifactFailed',
        message: expect.stringContaining(words) as string,
      });
    }
  });

  it('is refused when it is not what its digest says', async () => {
    const [address] = serve(gzipSync(tarOf({ name: 'a.yaml' })));
    const ended = await takeIn('artifact', address, `sha256:${'0'.repeat(64)}`);
    expect(ended.message).toContain('its digest does not match');
  });
});
