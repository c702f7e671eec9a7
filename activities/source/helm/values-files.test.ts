import { describe, expect, it } from 'vitest';
import { readValuesYaml, writeValuesYaml } from '../../helm/values-yaml.ts';
import { mergeMaps, mergeValuesFiles } from './values-files.ts';

const yaml = { read: readValuesYaml, write: writeValuesYaml };
const files: Record<string, string> = {
  'a.yaml': '# comment\nimage: {tag: v1, pull: always}\nlist: [1, 2]\nkeep: yes\n',
  'b.yaml': 'image: {tag: v2}\nlist: [3]\n',
  'null.yaml': 'image: null\n',
  'empty.yaml': '',
  'list.yaml': '- 1\n',
};
const merge = (paths: string[], isMissingIgnored = false) =>
  mergeValuesFiles(
    paths,
    isMissingIgnored,
    async (path) => (files[path] === undefined ? undefined : Buffer.from(files[path])),
    yaml,
  );

describe('values files', () => {
  it.each([
    [['a.yaml', 'b.yaml'], 'image:\n  pull: always\n  tag: v2\nkeep: true\nlist:\n- 3\n'],
    [['b.yaml', 'a.yaml'], 'image:\n  pull: always\n  tag: v1\nkeep: true\nlist:\n- 1\n- 2\n'],
    [['b.yaml', 'null.yaml'], 'image: null\nlist:\n- 3\n'],
    [['empty.yaml'], ''],
  ])('%j are merged in their order', async (paths, text) => {
    expect(await merge(paths)).toEqual({ text, files: paths });
  });

  it('that are missing are an error, or passed over', async () => {
    await expect(merge(['gone.yaml'])).rejects.toMatchObject({ type: 'ValuesFilesError' });
    expect(await merge(['gone.yaml', 'b.yaml'], true)).toMatchObject({ files: ['b.yaml'] });
  });

  it('that are no map are an error', async () => {
    await expect(merge(['list.yaml'])).rejects.toThrow("values files merge error: 'list.yaml' cannot be read");
  });

  it('have no power over prototypes', () => {
    const merged = mergeMaps({}, JSON.parse('{"__proto__": {"polluted": true}}') as Record<string, unknown>);
    expect(Object.keys(merged)).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});
