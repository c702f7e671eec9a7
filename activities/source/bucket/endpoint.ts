// Where a Bucket's storage is (contract 1.5, endpoint and insecure). Pure.
import type { BucketSpec } from '../../../k8s/api/bucket.ts';
import { failure } from '../../errors.ts';

/**
 * The URL of `spec.endpoint`, without a slash at its end. A scheme may be written, except `http://` where `spec.insecure`
 * is not set; Azure alone takes it as it is, and may have a path. Fails with BucketOperationFailed.
 */
export function endpointUrl(spec: Pick<BucketSpec, 'endpoint' | 'insecure' | 'provider'>): string {
  const { endpoint, insecure = false, provider } = spec;
  const isAzure = provider === 'azure';
  const [, scheme] = /^(https?):\/\//i.exec(endpoint) ?? [];
  const text = scheme === undefined ? `${insecure ? 'http' : 'https'}://${endpoint}` : endpoint;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain =
    url && !url.username && !url.password && !url.search && !url.hash && (isAzure || url.pathname === '/');
  if (!url?.hostname || !isPlain) {
    throw failure(
      'BucketOperationFailed',
      'spec.endpoint is not valid: expected a host name, and ":<port>" if it needs one',
    );
  }
  if (url.protocol === 'http:' && !insecure && !isAzure) {
    throw failure(
      'BucketOperationFailed',
      'spec.endpoint begins with "http://": set spec.insecure, or leave "http://" out',
    );
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}
