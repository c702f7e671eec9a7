// The one rule for what a path inside an artifact may be.

/** Why a path must not be in an archive, or undefined when it may: relative, `/`-separated, normal, no `..`. */
export function pathProblem(path: string): string | undefined {
  if (path === '') return 'is empty';
  if (path.startsWith('/')) return 'is absolute';
  if (path.includes('\0')) return 'holds a NUL byte';
  if (Buffer.byteLength(path) > 4096) return 'is longer than 4096 bytes';
  const segments = path.split('/');
  if (segments.includes('..')) return 'leaves the archive by ".."';
  if (segments.includes('') || segments.includes('.')) return 'is not normal (empty or "." segment)';
  if (segments.some((segment) => Buffer.byteLength(segment) > 255)) return 'has a name longer than 255 bytes';
  return undefined;
}
