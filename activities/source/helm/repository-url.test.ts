import { describe, expect, it } from 'vitest';
import { chartUrl, normalizeRepositoryUrl } from './repository-url.ts';

describe('addresses of repositories', () => {
  it.each([
    ['https://charts.example.org', 'https://charts.example.org/'],
    ['https://Charts.example.org:443/a//', 'https://charts.example.org/a/'],
    ['http://user:secret@host:8080/a?token=x#y', 'http://host:8080/a/'],
    ['oci://ghcr.io/org/charts/', 'oci://ghcr.io/org/charts'],
    ['oci://ghcr.io', 'oci://ghcr.io'],
  ])('%s is %s', (url, normal) => {
    expect(normalizeRepositoryUrl(url)).toBe(normal);
  });

  it.each(['', 'charts', 'file:///etc', '@stable', 'ftp://host/x'])('"%s" is none', (url) => {
    expect(() => normalizeRepositoryUrl(url)).toThrow('expected an address such as');
  });
});

describe('addresses of charts', () => {
  it.each([
    ['https://host/charts', 'web-1.0.0.tgz', 'https://host/charts/web-1.0.0.tgz'],
    ['https://host/charts/', 'sub/web.tgz', 'https://host/charts/sub/web.tgz'],
    ['https://host/charts', '/web.tgz', 'https://host/web.tgz'],
    ['https://host/charts', 'https://cdn.example.org/web.tgz', 'https://cdn.example.org/web.tgz'],
    ['https://host/charts?token=x', 'web.tgz', 'https://host/charts/web.tgz?token=x'],
    ['https://host/charts?token=x', 'https://cdn.example.org/web.tgz', 'https://cdn.example.org/web.tgz'],
    ['https://host/charts', '//cdn.example.org/web.tgz', 'https://cdn.example.org/web.tgz'],
  ])('%s and %s make %s', (repository, reference, url) => {
    expect(chartUrl(repository, reference)).toBe(url);
  });

  it('only http and https are followed', () => {
    expect(() => chartUrl('https://host/', 'file:///etc/passwd')).toThrow('with "file:"');
  });
});
