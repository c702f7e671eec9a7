import { describe, expect, it } from 'vitest';
import { ageOf, formatObjects, shortDuration, shortHashes } from './output.ts';
import { createTable, oneLine, tableLines } from './table.ts';

const hex = '958f3edd5dcfd1bf009faada57b1d89f97bd3c06';

describe('what people see', () => {
  it.each([
    [0, '0s'],
    [119, '119s'],
    [125, '2m5s'],
    [600, '10m'],
    [3 * 3600, '3h'],
    [3 * 3600 + 300, '3h5m'],
    [50 * 3600, '2d'],
  ])('%i seconds ago is the age %s', (seconds, age) => {
    const nowMs = Date.parse('2026-11-22T12:00:00Z');
    expect(ageOf(new Date(nowMs - seconds * 1000).toISOString(), nowMs)).toBe(age);
  });

  it('has no age for what has no time', () => {
    expect(ageOf(undefined, 0)).toBe('-');
    expect(ageOf('never', 0)).toBe('-');
  });

  it.each([
    [`main@sha1:${hex}`, 'main@sha1:958f3edd'],
    [`Applied revision: main@sha1:${hex}`, 'Applied revision: main@sha1:958f3edd'],
    [`sha256:${hex}${hex}, v1.2.3`, 'sha256:958f3edd, v1.2.3'],
    ['6.5.4', '6.5.4'],
    ['sha1:abc', 'sha1:abc'],
  ])('"%s" is cut to "%s"', (text, short) => {
    expect(shortHashes(text)).toBe(short);
  });

  it.each([
    [0, '0ms'],
    [85.4, '85ms'],
    [2345, '2.3s'],
    [245_000, '4m5s'],
  ])('%d ms is told as %s', (durationMs, text) => {
    expect(shortDuration(durationMs)).toBe(text);
  });

  it('lines up columns, also for rows that come later, and ends no line in spaces', () => {
    const columns = [
      { title: 'A', value: (row: string[]) => row[0] ?? '' },
      { title: 'B', value: (row: string[]) => row[1] ?? '', paint: (text: string) => `<${text}>` },
    ];
    expect(
      tableLines(columns, [
        ['wide one', 'x'],
        ['n', ''],
      ]),
    ).toEqual(['A          B', 'wide one   <x>', 'n          <>']);
    const table = createTable(columns);
    table.lines([['wide one', 'x']]);
    expect(table.lines([['n', 'y']])).toEqual(['n          <y>']);
  });

  it('lets no text of the server steer the terminal', () => {
    expect(oneLine('a\n  b\u001b[2Jc\u0007')).toBe('a; b [2Jc');
    expect(oneLine('corrected:\na\nb')).toBe('corrected: a; b');
  });

  it('gives one object or a List, without managedFields', () => {
    const object = {
      apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
      kind: 'Kustomization',
      metadata: { name: 'a', managedFields: [{ manager: 'x' }] },
      spec: { path: './a' },
    };
    expect(JSON.parse(formatObjects([object], 'json', true))).toEqual({ ...object, metadata: { name: 'a' } });
    expect(JSON.parse(formatObjects([object], 'json', false))).toMatchObject({
      kind: 'List',
      items: [{ kind: 'Kustomization' }],
    });
    expect(JSON.parse(formatObjects([], 'json', false))).toEqual({ apiVersion: 'v1', kind: 'List', items: [] });
    expect(formatObjects([object], 'yaml', true)).toContain('spec:\n  path: ./a');
    expect(formatObjects([object], 'name', false)).toBe('kustomization.kustomize.toolkit.fluxcd.io/a');
  });
});
