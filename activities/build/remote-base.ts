// Which entries of a kustomization kustomize would fetch over the network instead of reading from the source.

const scheme = /^(?:https?|ssh):\/\//i;
const scpStyle = /^[A-Za-z0-9][A-Za-z0-9._-]*@[^/:]+[:/]/;
const gitHub = /^(?:ssh\.)?github\.com[/:]/i;

/** True for what kustomize takes as a URL of a file or a Git repository; errs on the side of true. */
export function isRemote(entry: string): boolean {
  const bare = entry.replace(/^git::/i, '');
  return bare !== entry || scheme.test(bare) || scpStyle.test(bare) || gitHub.test(bare);
}

/** True for a URL of the local disk, which would leave the source's root. */
export function isFileUrl(entry: string): boolean {
  return /^(?:git::)?file:/i.test(entry);
}

/** A remote entry without user, password and query, fit for a message. */
export function withoutCredentials(entry: string): string {
  return entry.replace(/(:\/\/)[^@/]*@/, '$1').replace(/\?.*$/, '');
}
