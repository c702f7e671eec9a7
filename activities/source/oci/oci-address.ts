// Addresses of repositories in registries, `oci://<host>[:port]/<repository>[:tag][@digest]`: pure.

/** A repository. */
export interface OciRepositoryAddress {
  /** `host[:port]`. */
  host: string;
  /** Path without the host. */
  repository: string;
}

/** An artifact in a repository. */
export interface OciAddress extends OciRepositoryAddress {
  tag?: string;
  digest?: string;
}

const scheme = 'oci://';
const hostPattern = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253})|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;
/** Components of lower-case letters, digits and single separators (distribution specification). */
const componentPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const digestPattern = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}$/;
const maxRepositoryCharacters = 255;

/** Reads an address with at most a tag and a digest. Throws an `Error` that says what is wrong and what is expected. */
export function parseOciAddress(url: string): OciAddress {
  if (!url.startsWith(scheme)) throw new Error(`expected "oci://<host>/<repository>", got "${shown(url)}"`);
  let rest = url.slice(scheme.length);
  if (/^[^/]*@/.test(rest)) {
    throw new Error('credentials in the address are not used: name a Secret in spec.secretRef');
  }
  const slash = rest.indexOf('/');
  if (slash < 0) throw new Error(`"${shown(url)}" names no repository: expected "oci://<host>/<repository>"`);
  let digest: string | undefined;
  const at = rest.indexOf('@');
  if (at >= 0) {
    digest = rest.slice(at + 1);
    rest = rest.slice(0, at);
    if (!isDigest(digest))
      throw new Error(`"${shown(digest)}" is no digest: expected "sha256:<64 hexadecimal digits>"`);
  }
  let host = rest.slice(0, slash);
  let repository = rest.slice(slash + 1).replace(/\/+$/, '');
  let tag: string | undefined;
  const colon = repository.lastIndexOf(':');
  if (colon >= 0) {
    tag = repository.slice(colon + 1);
    repository = repository.slice(0, colon);
    if (!isTag(tag)) throw new Error(`"${shown(tag)}" is no tag: expected letters, digits, "_", "." and "-"`);
  }
  if (!hostPattern.test(host)) throw new Error(`"${shown(host)}" is no host: expected "<host>[:port]"`);
  const isRepository =
    repository.length <= maxRepositoryCharacters &&
    repository.split('/').every((component) => componentPattern.test(component));
  if (!isRepository) {
    throw new Error(
      `"${shown(repository)}" is no name of a repository: expected lower-case letters, digits, ".", "_", "-" and "/"`,
    );
  }
  if (host === 'docker.io') host = dockerHub;
  if (host === dockerHub && !repository.includes('/')) repository = `library/${repository}`;
  return { host, repository, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) };
}

/** Reads the address of a repository. Throws an `Error` as {@link parseOciAddress}, and for one with a tag or digest. */
export function parseRepositoryAddress(url: string): OciRepositoryAddress {
  const { host, repository, tag, digest } = parseOciAddress(url);
  if (tag !== undefined) throw new Error(`the address must not contain a tag: remove ":${tag}" and set spec.ref.tag`);
  if (digest !== undefined) {
    throw new Error(`the address must not contain a digest: remove "@${digest}" and set spec.ref.digest`);
  }
  return { host, repository };
}

export function isTag(text: string): boolean {
  return tagPattern.test(text);
}

export function isDigest(text: string): boolean {
  return digestPattern.test(text);
}

/** The API of Docker Hub, whose other names lead to it. */
export const dockerHub = 'index.docker.io';

/** True for this machine and for names that never leave a network: there HTTP without TLS is tried as well. */
export function isLocalHost(host: string): boolean {
  const name = host.replace(/:\d+$/, '').toLowerCase();
  return name === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(name) || /^(?:.*\.)?local(?:host)?$/.test(name);
}

function shown(text: string): string {
  return text.replace(/\/\/[^/@]*@/, '//').slice(0, 200);
}
