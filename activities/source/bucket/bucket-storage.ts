// What the kinds of object storage have in common, as the Bucket's driver uses them.

/** One object of a listing. */
export interface StoredObject {
  /** The key as its bytes, since it need not be UTF-8. */
  keyBytes: Uint8Array;
  /** Without quotes. */
  etag: string;
  sizeBytes: number;
  /** Where an object is read by another name of its version than its ETag. */
  version?: string;
  /** MD5 of the content in base64, where the listing has it. */
  md5?: string;
}

/** A bucket, opened with its credentials. */
export interface BucketStorage {
  /** The bucket for messages, e.g. `bucket "apps" at "s3.example.org"`; holds nothing secret. */
  name: string;
  /** All objects whose keys begin with `spec.prefix`, page by page. */
  list(signal: AbortSignal): AsyncIterable<StoredObject[]>;
  /** The content of an object in exactly the version that was listed. Throws {@link ObjectChanged} for any other. */
  read(key: string, object: StoredObject, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** The content of an object that was not listed; undefined when there is none. */
  readAny(key: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined>;
}

/** An object is not there any more as it was listed. */
export class ObjectChanged extends Error {
  override readonly name = 'ObjectChanged';
}
