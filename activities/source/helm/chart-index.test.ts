import { describe, expect, it } from 'vitest';
import { type IndexedChart, readIndex } from './chart-index.ts';

function read(text: string): { json: unknown; charts: Record<string, IndexedChart[]> } {
  const { json, charts } = readIndex(Buffer.from(text));
  return {
    json: JSON.parse(Buffer.from(json).toString('utf8')),
    charts: Object.fromEntries([...charts].map(([name, versions]) => [name, JSON.parse(versions) as IndexedChart[]])),
  };
}

const asHelm = `apiVersion: v1
entries:
  web:
  - apiVersion: v2
    appVersion: 1.10
    created: "2024-01-02T03:04:05Z"
    description: |
      two: lines
      web:
    digest: abc
    name: web
    urls:
    - web-1.9.0.tgz
    version: 1.9.0
  - {name: web, version: 1.10.0, urls: [web-1.10.0.tgz], deprecated: true, unknown: x}
  # a comment
  "other":
    - name: other
      version: "2.0"
      dependencies: [{name: web, version: 1.x, repository: https://host}]
generated: "2024-01-02T03:04:05Z"
`;

describe('an index', () => {
  it('becomes JSON of what Helm knows, the highest version first, text staying text', () => {
    expect(read(asHelm).json).toEqual({
      apiVersion: 'v1',
      generated: '2024-01-02T03:04:05Z',
      entries: {
        web: [
          { name: 'web', version: '1.10.0', urls: ['web-1.10.0.tgz'], deprecated: true },
          {
            name: 'web',
            version: '1.9.0',
            description: 'two: lines\nweb:\n',
            apiVersion: 'v2',
            appVersion: '1.10',
            created: '2024-01-02T03:04:05Z',
            digest: 'abc',
            urls: ['web-1.9.0.tgz'],
          },
        ],
        other: [
          {
            name: 'other',
            version: '2.0',
            dependencies: [{ name: 'web', version: '1.x', repository: 'https://host' }],
          },
        ],
      },
    });
    expect(read(asHelm).charts['web']?.[1]).toEqual({
      name: 'web',
      version: '1.9.0',
      urls: ['web-1.9.0.tgz'],
      digest: 'abc',
      createdMs: Date.parse('2024-01-02T03:04:05Z'),
    });
  });

  it.each([
    ['JSON', JSON.stringify(read(asHelm).json)],
    ['four spaces', asHelm.replaceAll(/^ {2}/gm, '    ')],
    [
      'the flow style',
      `{apiVersion: v1, generated: "2024-01-02T03:04:05Z", entries: ${JSON.stringify((read(asHelm).json as { entries: object }).entries)}}`,
    ],
    ['carriage returns', asHelm.replaceAll('\n', '\r\n')],
    ['entries at its end', asHelm.replace(/^(apiVersion.*\n)([\s\S]*)(generated.*\n)$/, '$1$3$2')],
  ])('says the same in %s', (_title, text) => {
    expect(read(text).json).toEqual(read(asHelm).json);
  });

  it('leaves out what has no valid name or version', () => {
    const text =
      'apiVersion: v1\nentries:\n  a:\n  - {name: a, version: x}\n  - {name: ../a, version: 1.0.0}\n  - {version: 1.0.0}\n  - null\n  - {name: a, version: 1.0.0}\n  b: []\n  c:\n';
    expect(read(text).charts).toEqual({ a: [{ name: 'a', version: '1.0.0', urls: [] }], b: [], c: [] });
  });

  it('may be without charts', () => {
    expect(read('apiVersion: v1\nentries: {}\n').charts).toEqual({});
    expect(read('apiVersion: v1\n').charts).toEqual({});
  });

  it.each([
    ['', 'the index is empty'],
    [' \n', 'the index is empty'],
    ['- a', 'it is no map'],
    ['a: 1', 'it has no "apiVersion"'],
    ['apiVersion: v1\nentries: 7', 'its "entries" are no map of charts'],
    ['apiVersion: v1\nentries:\n  a: []\n  a: []\n', 'chart "a" is there twice'],
    ['apiVersion: v1\nentries:\n  a: &a []\n  b: *a\n', 'no valid YAML'],
  ])('%j is none', (text, problem) => {
    expect(() => read(text)).toThrow(problem);
  });

  it('is none when it is no UTF-8', () => {
    expect(() => readIndex(Uint8Array.of(0x61, 0xff))).toThrow('not valid');
  });
});
