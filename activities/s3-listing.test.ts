import { describe, expect, it } from 'vitest';
import { parseS3Page, parseS3Refusal } from './s3-listing.ts';

const page = (rest: string): string =>
  `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${rest}</ListBucketResult>`;
const contents = (key: string): string =>
  `<Contents><Key>${key}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>&quot;abc-2&quot;</ETag><Size>7</Size></Contents>`;

describe('parseS3Page', () => {
  it('reads objects, and where the next page begins', () => {
    const read = parseS3Page(
      page(`${contents('a&amp;b')}<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>`),
    );
    expect(read.nextToken).toBe('t');
    expect(read.objects).toEqual([
      { keyBytes: Buffer.from('a&b'), etag: 'abc-2', sizeBytes: 7, modifiedMs: Date.UTC(2026, 0, 2, 3, 4, 5) },
    ]);
  });

  it('decodes keys to bytes, also such that are not UTF-8', () => {
    const { objects } = parseS3Page(page(`<EncodingType>url</EncodingType>${contents('a+b%2F%C3%BC%ff%zz')}`));
    expect(Buffer.from(objects[0]?.keyBytes ?? [])).toEqual(
      Buffer.concat([Buffer.from('a b/ü'), Buffer.from([0xff]), Buffer.from('%zz')]),
    );
  });

  it('reads an empty bucket', () => {
    expect(parseS3Page(page('<IsTruncated>false</IsTruncated>'))).toEqual({ objects: [] });
  });

  it.each([
    ['<html></html>', 'expected a "ListBucketResult", got "html"'],
    [page('<IsTruncated>true</IsTruncated>'), 'the listing is cut off'],
    [page('<Contents><Key>a</Key><Size>-1</Size></Contents>'), 'without a key or a size'],
    ['not found', 'the XML is not complete'],
  ])('refuses %j', (text, message) => {
    expect(() => parseS3Page(text)).toThrow(message);
  });
});

describe('parseS3Refusal', () => {
  it('reads errors at the root and within', () => {
    expect(parseS3Refusal('<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>')).toMatchObject({
      code: 'NoSuchKey',
      message: 'gone',
    });
    expect(parseS3Refusal('<R><Error><Code>AccessDenied</Code></Error></R>').code).toBe('AccessDenied');
    expect(parseS3Refusal('no xml')).toEqual({});
  });
});
