import { describe, expect, it } from 'vitest';
import { endpointUrl } from './endpoint.ts';

describe('endpointUrl', () => {
  it.each([
    [{ endpoint: 's3.example.org' }, 'https://s3.example.org'],
    [{ endpoint: 's3.example.org:9000', insecure: true }, 'http://s3.example.org:9000'],
    [{ endpoint: 'https://s3.example.org/' }, 'https://s3.example.org'],
    [{ endpoint: 'http://s3.example.org', insecure: true }, 'http://s3.example.org'],
    [{ endpoint: '[::1]:9000' }, 'https://[::1]:9000'],
    [{ endpoint: 'http://127.0.0.1:10000/account', provider: 'azure' as const }, 'http://127.0.0.1:10000/account'],
  ])('%j', (spec, url) => {
    expect(endpointUrl({ provider: 'generic', ...spec })).toBe(url);
  });

  it.each([
    [{ endpoint: '' }, 'expected a host name'],
    [{ endpoint: 'user:pass@host' }, 'expected a host name'],
    [{ endpoint: 'host/path' }, 'expected a host name'],
    [{ endpoint: 'host?x=1' }, 'expected a host name'],
    [{ endpoint: 'ftp://host' }, 'expected a host name'],
    [{ endpoint: 'http://host' }, 'set spec.insecure'],
  ])('refuses %j', (spec, message) => {
    expect(() => endpointUrl({ provider: 'generic', ...spec })).toThrow(message);
  });
});
