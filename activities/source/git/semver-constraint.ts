// Version ranges as Flux users write them (Masterminds grammar), on the `semver` package: terms separated by commas or
// spaces must all hold, `||` separates alternatives, `!=` exists, and a prerelease matches an alternative only if one of
// its terms names a prerelease itself (`>=1.0.0-0`), whatever its version (Masterminds 3.4 and later).
import { compareBuild, parse, Range, type SemVer } from 'semver';

type Term = (version: SemVer) => boolean;

/** A compiled range. Throws an `Error` that quotes a range which cannot be understood. */
export function compileConstraint(range: string): (version: SemVer) => boolean {
  const alternatives = range.split('||').map((part) => {
    const terms = splitTerms(part);
    const allowsPrerelease = terms.some((term) => /\d-[0-9A-Za-z]/.test(term));
    return { allowsPrerelease, terms: terms.map((term) => compileTerm(term, range)) };
  });
  return (version) =>
    alternatives.some(
      ({ allowsPrerelease, terms }) =>
        (allowsPrerelease || version.prerelease.length === 0) && terms.every((term) => term(version)),
    );
}

/** `>= 1.0, <2` → [`>=1.0`, `<2`]; `1.2 - 1.4` is one term. */
function splitTerms(part: string): string[] {
  const text = part.trim();
  if (text === '') return ['*'];
  const hyphen = /^(\S+)\s+-\s+(\S+)$/.exec(text);
  if (hyphen) return [`>=${hyphen[1]}`, `<=${hyphen[2]}`];
  return text
    .replaceAll(/([<>=!~^]+)\s+/g, '$1')
    .split(/[\s,]+/)
    .filter(Boolean);
}

function compileTerm(term: string, range: string): Term {
  const normal = padded(term.replace(/^=>/, '>=').replace(/^=</, '<=').replace(/^~>/, '~'));
  const isNegated = normal.startsWith('!=');
  let inner: Range;
  try {
    inner = new Range(isNegated ? normal.slice(2) : normal, { includePrerelease: true });
  } catch {
    throw new Error(`"${range}" is not a version range (at "${term}")`);
  }
  return (version) => inner.test(version) !== isNegated;
}

/** `<2` and `>=2` compare with 2.0.0, of which a prerelease is less; the `semver` package would take 2.0.0-0. */
function padded(term: string): string {
  const [, operator, major, minor] = /^(<|>=)v?(\d+)(\.\d+)?$/.exec(term) ?? [];
  return major === undefined ? term : `${operator}${major}${minor ?? '.0'}.0`;
}

/**
 * The version that a tag names: a leading `v` and missing parts (`v1.2`) are fine, anything else gives undefined.
 */
export function versionOfTag(tag: string): SemVer | undefined {
  const match = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?([-+].*)?$/.exec(tag);
  if (!match) return undefined;
  return parse(`${match[1]}.${match[2] ?? 0}.${match[3] ?? 0}${match[4] ?? ''}`) ?? undefined;
}

/** The tag with the highest version that the range allows; of equal versions the one with the higher build, then name. */
export function highestTag(tags: string[], range: string): string | undefined {
  const allows = compileConstraint(range);
  let best: { tag: string; version: SemVer } | undefined;
  for (const tag of tags) {
    const version = versionOfTag(tag);
    if (!version || !allows(version)) continue;
    const order = best ? compareBuild(version, best.version) || (tag > best.tag ? 1 : -1) : 1;
    if (order > 0) best = { tag, version };
  }
  return best?.tag;
}
