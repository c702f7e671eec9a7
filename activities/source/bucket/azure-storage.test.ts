import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { accountOf, sharedKey } from './azure-storage.ts';

describe('sharedKey', () => {
  it('signs the text of the example in the documentation of the protocol', () => {
    const key = Buffer.from('key');
    const url = new URL(
      'https://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=metadata&timeout=20',
    );
    const headers = { 'x-ms-version': '2015-02-21', 'x-ms-date': 'Fri, 26 Jun 2015 23:39:12 GMT' };
    const text =
      'GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n' +
      '/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20';
    expect(sharedKey({ account: 'myaccount', key }, 'GET', url, headers)).toBe(
      `SharedKey myaccount:${createHmac('sha256', key).update(text).digest('base64')}`,
    );
  });
});

describe('accountOf', () => {
  it.each([
    ['https://myaccount.blob.core.windows.net', 'myaccount'],
    ['http://127.0.0.1:10000/devstoreaccount1', 'devstoreaccount1'],
    ['http://azurite:10000/devstoreaccount1', 'devstoreaccount1'],
  ])('%s', (endpoint, account) => {
    expect(accountOf(endpoint)).toBe(account);
  });
});
