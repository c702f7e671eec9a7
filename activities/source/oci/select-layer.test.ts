import { describe, expect, it } from 'vitest';
import { imageOfIndex, isIndex, selectLayer } from './select-layer.ts';

const descriptor = (mediaType: string, platform?: { os: string; architecture: string }) => ({
  mediaType,
  digest: `sha256:${'a'.repeat(64)}`,
  size: 1,
  ...(platform && { platform }),
});
const linux = (architecture: string) => ({ os: 'linux', architecture });

describe('imageOfIndex', () => {
  it.each([
    [[descriptor('arm', linux('arm64')), descriptor('amd', linux('amd64'))], 'amd'],
    [[descriptor('arm', linux('arm64')), descriptor('any')], 'any'],
    [[descriptor('first', linux('amd64')), descriptor('second', linux('amd64'))], 'first'],
  ])('takes linux/amd64, %#', (manifests, expected) => {
    expect(imageOfIndex({ manifests }).mediaType).toBe(expected);
  });

  it('says what there is instead', () => {
    expect(() => imageOfIndex({ manifests: [descriptor('a', linux('s390x'))] })).toThrow('it has linux/s390x');
    expect(() => imageOfIndex({ manifests: [] })).toThrow('it has none');
  });
});

it('an index has manifests and no layers', () => {
  expect(isIndex({ manifests: [] })).toBe(true);
  expect(isIndex({ layers: [] })).toBe(false);
});

describe('selectLayer', () => {
  const layers = [descriptor('a'), descriptor('b'), { ...descriptor('b'), size: 2 }];
  it('takes the first, or the first of a media type', () => {
    expect(selectLayer({ layers }, undefined).mediaType).toBe('a');
    expect(selectLayer({ layers }, 'b').size).toBe(1);
  });

  it('says what there is instead', () => {
    expect(() => selectLayer({ layers }, 'c')).toThrow('no layer of the media type "c", its layers are of "a", "b"');
    expect(() => selectLayer({}, undefined)).toThrow('has no layers');
  });
});
