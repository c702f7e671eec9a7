// The Kubernetes REST client: raw JSON over undici, nothing typed, nothing dropped.
import type { KubeObject, NamespacedName, ObjectRef } from './object.ts';
import type { ForwardedAnswer, ForwardedRequest } from './rest.ts';

/** How a kind is addressed: what API discovery says of it. */
export interface ResourceInfo {
  group: string;
  version: string;
  kind: string;
  /** Plural, the URL segment, e.g. `deployments`. */
  resource: string;
  namespaced: boolean;
}

/** A refusal by the API server, or (`status` 0) a request that never got an answer. */
export class KubeApiError extends Error {
  override readonly name = 'KubeApiError';
  readonly status: number;
  /** The server's word: NotFound, Conflict, Invalid, Forbidden, AlreadyExists, Expired …; '' when it gave none. */
  readonly reason: string;
  /** Seconds to wait before the next try when the server said so. */
  readonly retryAfterSeconds: number | undefined;
  constructor(message: string, status: number, reason: string, retryAfterSeconds?: number) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.retryAfterSeconds = retryAfterSeconds;
  }
  /** True for what may pass by itself: no answer, 429, 500, 502–504. */
  get isTransient(): boolean {
    return (
      this.status === 0 || this.status === 429 || this.status === 500 || (this.status >= 502 && this.status <= 504)
    );
  }
}

export interface ApplyOptions {
  fieldManager: string;
  force?: boolean;
  dryRun?: boolean;
  subresource?: 'status';
}

export interface PatchOptions {
  type: 'merge' | 'json' | 'apply';
  fieldManager?: string;
  subresource?: 'status';
  dryRun?: boolean;
}

export interface DeleteOptions {
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  /** Delete only the object with this uid (a precondition), so that a re-created one is never hit. */
  uid?: string;
  dryRun?: boolean;
}

export interface ListOptions {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** Page size; the default is 500 and all pages are read. */
  limit?: number;
  /** Ask for PartialObjectMetadata only. */
  metadataOnly?: boolean;
}

export interface ObjectList {
  resourceVersion: string;
  items: KubeObject[];
}

export interface WatchEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  object: KubeObject;
}

/** One cluster, as one identity. All methods throw {@link KubeApiError}; `signal` aborts the request. */
export interface KubeClient {
  /** Stable name of the API server's address, for messages and cache keys. */
  readonly server: string;
  /** The resource of a kind; asks discovery again when it is unknown, and gives undefined when the server has none. */
  resourceFor(group: string, version: string, kind: string): Promise<ResourceInfo | undefined>;
  /** The object, or undefined when it does not exist. */
  get(ref: ObjectRef, options?: { metadataOnly?: boolean; signal?: AbortSignal }): Promise<KubeObject | undefined>;
  /** All objects of a kind (all pages). An error is an error: never an empty list. */
  list(resource: ResourceInfo, options?: ListOptions & { signal?: AbortSignal }): Promise<ObjectList>;
  /** Watches from a resourceVersion with bookmarks until the server closes; throws `Expired` (410) when it is too old. */
  watch(
    resource: ResourceInfo,
    options: ListOptions & { resourceVersion: string; signal?: AbortSignal },
  ): AsyncGenerator<WatchEvent>;
  /** Server-side apply; returns the object as stored (or as it would be, with dryRun). */
  apply(object: KubeObject, options: ApplyOptions & { signal?: AbortSignal }): Promise<KubeObject>;
  create(object: KubeObject, options?: { fieldManager?: string; signal?: AbortSignal }): Promise<KubeObject>;
  patch(ref: ObjectRef, body: unknown, options: PatchOptions & { signal?: AbortSignal }): Promise<KubeObject>;
  /** Returns false when the object was already gone. */
  delete(ref: ObjectRef, options?: DeleteOptions & { signal?: AbortSignal }): Promise<boolean>;
  /** A new token of a service account (TokenRequest), good for ten minutes or more. */
  requestToken(
    account: NamespacedName,
    options: { audiences: readonly string[]; signal?: AbortSignal },
  ): Promise<{ token: string; expiresAtMs: number }>;
  /** Passes on a request of another program, as this identity; an answer of any status is an answer. */
  forward(request: ForwardedRequest): Promise<ForwardedAnswer>;
  /** The same cluster as another user (impersonation headers). */
  impersonate(user: string, groups?: string[]): KubeClient;
  close(): Promise<void>;
}
