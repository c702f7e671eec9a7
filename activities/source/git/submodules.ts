// What `.gitmodules` says, and which address it means. It comes from whoever can push, so nothing of it is trusted.
import { failure } from '../../errors.ts';
import { displayUrl } from './remote-error.ts';

/** One submodule of a commit. */
export interface Submodule {
  /** Where its files go, relative to the root of the commit that names it. */
  path: string;
  /** As written, maybe relative. */
  url: string;
}

export const maxModulesFileBytes = 1024 * 1024;

/**
 * Reads `.gitmodules` (the format of Git's configuration). Sections without path or URL are left out, as are settings
 * that are not ours. Fails with GitOperationFailed for a path that leads out of the tree.
 */
export function parseModules(text: string): Submodule[] {
  const sections: { path?: string; url?: string }[] = [];
  let current: { path?: string; url?: string } | undefined;
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue;
    if (line.startsWith('[')) {
      current = /^\[submodule "(?:[^"\\]|\\.)*"\]$/.test(line) ? {} : undefined;
      if (current) sections.push(current);
      continue;
    }
    const equals = line.indexOf('=');
    if (!current || equals < 0) continue;
    const key = line.slice(0, equals).trim().toLowerCase();
    if (key === 'path' || key === 'url') current[key] = unquote(line.slice(equals + 1).trim());
  }
  return sections.flatMap(({ path, url }) => (path && url ? [{ path: safePath(path), url }] : []));
}

/** A value ends at a comment; quotes and backslashes are Git's. */
function unquote(value: string): string {
  let result = '';
  let isQuoted = false;
  for (let index = 0; index < value.length; index++) {
    const character = value[index];
    if (character === '\\') result += value[++index] ?? '';
    else if (character === '"') isQuoted = !isQuoted;
    else if (!isQuoted && (character === '#' || character === ';')) break;
    else result += character;
  }
  return result.trimEnd();
}

function safePath(path: string): string {
  const parts = path.replace(/\/+$/, '').split('/');
  const isUnsafe = parts.some((part) => part === '' || part === '.' || part === '..' || /^\.git$/i.test(part));
  if (isUnsafe || /\p{Cc}|\\/u.test(path)) {
    throw failure('GitOperationFailed', `.gitmodules has the path ${quoted(path)}, which is not allowed in a commit`);
  }
  return parts.join('/');
}

/**
 * The address that a submodule's URL means in a repository at `parentUrl` (without password). Takes `./` and `../`,
 * `http(s)://`, `ssh://`, and `user@host:path`. Fails with GitOperationFailed for all else: local paths, `file://`,
 * `git://`, remote helpers, and for `../` beyond the host.
 */
export function submoduleUrl(parentUrl: string, url: string): string {
  if (/^\.{1,2}(\/|$)/.test(url)) return relativeUrl(parentUrl, url);
  const scp = /^(?:([\w.~-]+)@)?([\w.-]+|\[[0-9a-fA-F:]+\]):(?!\/\/)([^:].*)$/.exec(url);
  const text = scp ? `ssh://${scp[1] ? `${scp[1]}@` : ''}${scp[2]}/${(scp[3] ?? '').replace(/^\/+/, '')}` : url;
  const parsed = URL.canParse(text) ? new URL(text) : undefined;
  if (!parsed || !['http:', 'https:', 'ssh:'].includes(parsed.protocol) || !isHost(parsed.hostname)) {
    throw failure(
      'GitOperationFailed',
      `.gitmodules has the URL ${quoted(url)}: expected "https://…", "ssh://…", "user@host:path" or one that is relative`,
    );
  }
  // Credentials do not come from a commit.
  parsed.password = '';
  if (parsed.protocol !== 'ssh:') parsed.username = '';
  parsed.search = '';
  parsed.hash = '';
  return parsed.href.replace(/\/+$/, '');
}

function relativeUrl(parentUrl: string, url: string): string {
  const parent = new URL(parentUrl);
  const parts = parent.pathname.replace(/\/+$/, '').split('/').slice(1);
  for (const part of url.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) {
      throw failure(
        'GitOperationFailed',
        `.gitmodules has the URL ${quoted(url)}, which leads out of ${displayUrl(parentUrl)}`,
      );
    }
  }
  // Set by the setter, so that nothing in it can become another host.
  parent.pathname = `/${parts.join('/')}`;
  parent.search = '';
  parent.hash = '';
  return parent.href;
}

function isHost(name: string): boolean {
  return name !== '' && !name.startsWith('-');
}

/** True when credentials for the one may go to the other: the same scheme, host and port. */
export function isSameServer(a: string, b: string): boolean {
  return placeOf(a) === placeOf(b);
}

function placeOf(url: string): string {
  const { protocol, hostname, port } = new URL(url);
  return `${protocol}//${hostname.toLowerCase()}:${port || (protocol === 'ssh:' ? '22' : '')}`;
}

function quoted(text: string): string {
  return JSON.stringify(text.replace(/\/\/[^/@]*@/, '//').slice(0, 200));
}
