// What went wrong with a remote, in words; the failures' reasons and the mapping from network error codes.
import { failure, messageOf, type Reason } from '../../errors.ts';

/** The Git server answered a request with an error of its own (an `ERR` packet or the error side band). */
export class GitServerError extends Error {
  override readonly name = 'GitServerError';
}

const networkWords: Record<string, string> = {
  ENOTFOUND: 'the host name is not known; check it, and the DNS of the worker',
  EAI_AGAIN: 'the host name cannot be resolved now; check the DNS of the worker',
  ECONNREFUSED: 'the server refuses connections; check host and port, also those of a proxy',
  ECONNRESET: 'the server cut the connection',
  EPIPE: 'the server cut the connection',
  ETIMEDOUT: 'no connection could be made in time; check host, port and firewalls',
  EHOSTUNREACH: 'there is no route to the host; check the network of the worker',
  ENETUNREACH: 'the network is not reachable; check the network of the worker',
  UND_ERR_SOCKET: 'the server cut the connection',
  UND_ERR_CONNECT_TIMEOUT: 'no connection could be made in time; check host, port and firewalls',
  UND_ERR_HEADERS_TIMEOUT: 'the server did not answer in time',
  UND_ERR_BODY_TIMEOUT: 'the server stopped sending',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the server has a self-signed certificate; put its CA into key "ca.crt" of the Secret',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate was issued by an unknown CA; put the CA into key "ca.crt" of the Secret',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'the certificate was issued by an unknown CA; put the CA into key "ca.crt" of the Secret',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'the certificate was issued by an unknown CA; put the CA into key "ca.crt" of the Secret',
  CERT_HAS_EXPIRED: 'the certificate of the server has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate of the server is for another host name',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    'the server demands a client certificate; put it into keys "tls.crt" and "tls.key" of the Secret',
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: 'the TLS handshake failed',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the server does not speak TLS on this port; is the URL meant to be http://?',
};

const cutConnection = new Set(['UND_ERR_SOCKET', 'ECONNRESET']);

/** The words for an error of the network or of the protocol, with its code; `hint` is added when the connection was cut. */
export function describeRemoteError(error: unknown, hint = ''): string {
  const proxyStatus = proxyStatusOf(error);
  if (proxyStatus === '407') return `(HTTP 407): the proxy refused the login; ${checkProxySecret}`;
  if (proxyStatus) return `(HTTP ${proxyStatus}): the proxy refused to connect; ask who runs it`;
  const code = codeOf(error);
  const words = code ? networkWords[code] : undefined;
  if (words) return `(${code}): ${words}${hint && cutConnection.has(code ?? '') ? `; ${hint}` : ''}`;
  if (error instanceof GitServerError) return `(remote): ${error.message}`;
  if (code?.startsWith('ERR_TLS') || code?.startsWith('ERR_SSL') || code?.includes('CERT')) {
    return `(${code}): the TLS connection could not be established`;
  }
  return code ? `(${code}): ${messageOf(error)}` : `: ${messageOf(error)}`;
}

const checkProxySecret = 'check "username" and "password" of the Secret named by spec.proxySecretRef';

/** The status with which a proxy refused a request or a tunnel: undici puts it into words alone. */
function proxyStatusOf(error: unknown): string | undefined {
  for (let current = error; current instanceof Error; current = current.cause) {
    const found = /^Proxy (?:Authentication Required|response) \((\d{3})\)/.exec(current.message)?.[1];
    if (found) return found;
  }
  return undefined;
}

/** What to look at when a server cuts a connection: with TLS 1.3 one that misses the client's certificate says no more. */
export function certificateHint(url: string, hasCertificate: boolean): string {
  if (hasCertificate || !url.startsWith('https:')) return '';
  return 'if it demands a client certificate, put that into keys "tls.crt" and "tls.key" of the Secret';
}

function codeOf(error: unknown): string | undefined {
  for (let current = error; current instanceof Error; current = current.cause) {
    if ('code' in current && typeof current.code === 'string') return current.code;
    // Node tries every address of a host and collects the refusals.
    if (current instanceof AggregateError) return codeOf(current.errors[0]);
  }
  return undefined;
}

/** The failure of an operation on a remote, e.g. `listing refs of "https://…" failed (ECONNREFUSED): …`. */
export function remoteFailure(
  operation: string,
  error: unknown,
  reason: Reason = 'GitOperationFailed',
  hint = '',
): ReturnType<typeof failure> {
  return failure(reason, `${operation} failed ${describeRemoteError(error, hint)}`.replace(' : ', ': '), {
    cause: error,
  });
}

/** A URL as it may be shown: without user, password, query and fragment. */
export function displayUrl(url: string): string {
  if (!URL.canParse(url)) return 'an invalid URL';
  const parsed = new URL(url);
  return `"${parsed.protocol}//${parsed.host}${parsed.pathname}"`;
}
