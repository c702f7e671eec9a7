// The metadata server of Google Cloud, which machines and pods of GKE have.
import { requestText } from '../http/bounded-request.ts';
import { dispatcherFor } from '../http/dispatcher.ts';
import type { Environment } from './cloud-identity.ts';

/** It is near, or not there at all. */
const timeoutMs = 3_000;

/** A value below `/computeMetadata/v1/`, such as `project/project-id`. */
export async function readMetadata(env: Environment, path: string, signal: AbortSignal): Promise<string> {
  const host = env['GCE_METADATA_HOST'] ?? 'metadata.google.internal';
  const headers = { 'metadata-flavor': 'Google' };
  const soon = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  return await requestText(`http://${host}/computeMetadata/v1/${path}`, { headers }, dispatcherFor({}), soon);
}
