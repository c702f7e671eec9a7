import { expect, test } from 'vitest';
import { field } from './protobuf.ts';
import { changeReleases, secretNameOf } from './stored-secret.ts';

const louder = (packed: Buffer): Buffer => Buffer.from(packed.toString('utf8').toUpperCase());

const entry = (key: string, value: string): Buffer => field(2, Buffer.concat([field(1, key), field(2, value)]));
const secret = (release: string): Buffer =>
  Buffer.concat([field(1, field(1, 'name')), entry('other', 'kept'), entry('release', release), field(3, 'helm.sh')]);
const object = (kind: string, content: Buffer): Buffer =>
  Buffer.concat([Buffer.from('k8s\0'), field(1, Buffer.concat([field(1, 'v1'), field(2, kind)])), field(2, content)]);

test('the release in a Secret is changed, and nothing else of it', () => {
  const long = 'r'.repeat(300);
  expect(changeReleases(object('Secret', secret(long)), louder)).toEqual(object('Secret', secret(long.toUpperCase())));
});

test('the releases in a list of Secrets are changed', () => {
  const list = (...releases: string[]): Buffer =>
    object('SecretList', Buffer.concat([field(1, field(2, '7')), ...releases.map((one) => field(2, secret(one)))]));
  expect(changeReleases(list('one', 'two'), louder)).toEqual(list('ONE', 'TWO'));
});

test('JSON is changed as well', () => {
  const data = (release: string): object => ({ release: Buffer.from(release).toString('base64'), other: 'a2VwdA==' });
  const change = (body: object): unknown =>
    JSON.parse(changeReleases(Buffer.from(JSON.stringify(body)), louder).toString());
  expect(change({ kind: 'Secret', data: data('one') })).toEqual({ kind: 'Secret', data: data('ONE') });
  expect(change({ items: [{ data: data('one') }, {}] })).toEqual({ items: [{ data: data('ONE') }, {}] });
});

test('what is cut off is refused', () => {
  expect(() => changeReleases(object('Secret', secret('one')).subarray(0, 20), louder)).toThrow('cut off');
});

test('the name of a Secret is read in either encoding', () => {
  expect(secretNameOf(object('Secret', secret('one')))).toBe('name');
  expect(secretNameOf(Buffer.from('{"metadata":{"name":"name"}}'))).toBe('name');
  expect(() => secretNameOf(object('Secret', field(2, 'x')))).toThrow('a Secret has no name');
});
