// Version ranges as Flux users write them (Masterminds grammar), on the `semver` package: terms separated by commas or
// spaces must all hold, `||` separates alternatives, `!=` exists, and a prerelease matches a term only if that term
// names a prerelease itself (`>=1.0.0-0`), whatever its version.
import { compareBuild, parse, Range, type SemVer } from 'semver';

type Term = (version: SemVer) => boolean;

/** A compiled range. Throws an `Error` that quotes a range which cannot be understood. */
export function compileConstraint(range: string): (version: SemVer) => boolean {
  const alternatives = range.split('||').map((part) => splitTerms(part).map((term) => compileTerm(term, range)));
  return (version) => alternatives.some((terms) => terms.every((term) => term(version)));
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
  const normal = term.replace(/^=>/, '>=').replace(/^=</, '<=').replace(/^~>/, '~');
  const isNegated = normal.startsWith('!=');
  const namesPrerelease = /\d-[0-9A-Za-z]/.test(normal);
  let inner: Range;
  try {
    inner = new Range(isNegated ? normal.slice(2) : normal, { includePrerelease: true });
  } catch {
    throw new Error(`"${range}" is not a version range (at "${term}")`);
  }
  return (version) => {
    if (version.prerelease.length > 0 && !namesPrerelease) return false;
    return inner.test(version) !== isNegated;
  };
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
