// A Bucket on anything that speaks S3.
import { HttpRefusal } from '../../http-refusal.ts';
import { createS3Client, type S3Connection } from '../../s3-client.ts';
import { type BucketStorage, ObjectChanged } from './bucket-storage.ts';

export function createS3Storage(connection: S3Connection, prefix: string): BucketStorage {
  const client = createS3Client(connection);

  /** Of an object, in words that are the same for every storage. */
  async function read(key: string, etag: string | undefined, signal: AbortSignal) {
    try {
      return await client.read(key, signal, etag === undefined ? {} : { ifMatch: etag });
    } catch (error) {
      if (error instanceof HttpRefusal && error.status === 412)
        throw new ObjectChanged(`"${key}" was changed meanwhile`);
      throw error;
    }
  }

  return {
    name: `bucket "${connection.bucket}" at "${new URL(connection.endpoint).host}"`,

    list: (signal) => client.list(prefix, signal),

    async read(key, object, signal) {
      const content = await read(key, object.etag, signal);
      if (!content) throw new ObjectChanged(`"${key}" was removed meanwhile`);
      // Not every server knows If-Match.
      if (content.etag !== object.etag) {
        await drop(content.body);
        throw new ObjectChanged(`"${key}" was changed meanwhile`);
      }
      return content.body;
    },

    readAny: async (key, signal) => (await read(key, undefined, signal))?.body,
  };
}

async function drop(body: AsyncIterable<Uint8Array>): Promise<void> {
  await body[Symbol.asyncIterator]().return?.();
}
