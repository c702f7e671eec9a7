// Kubernetes label selectors in their text form: `a=b,c!=d,e in (f,g),h notin (i),j,!k`.

/** True for a set of labels (or annotations) that a selector chooses. */
export type LabelMatcher = (labels: Record<string, string> | undefined) => boolean;

const key = '[A-Za-z0-9][A-Za-z0-9._/-]*';
const requirement = new RegExp(
  `^\\s*(?:(?<absent>!)\\s*(?<absentKey>${key})` +
    `|(?<setKey>${key})\\s+(?<setOperator>in|notin)\\s*\\((?<values>[^()]*)\\)` +
    `|(?<key>${key})\\s*(?:(?<operator>==|=|!=)\\s*(?<value>[^\\s,=!()]*))?)\\s*$`,
);

/** Compiles a selector; an empty one chooses everything. Throws an `Error` that quotes the requirement it cannot read. */
export function parseLabelSelector(selector: string): LabelMatcher {
  const matchers = splitRequirements(selector).map(parseRequirement);
  return (labels = {}) => matchers.every((matches) => matches(labels));
}

/** Splits at commas outside of parentheses. */
function splitRequirements(selector: string): string[] {
  if (!selector.trim()) return [];
  return selector.split(/,(?![^(]*\))/);
}

function parseRequirement(text: string): (labels: Record<string, string>) => boolean {
  const parts = requirement.exec(text)?.groups;
  if (!parts) throw new Error(`label selector requirement "${text.trim()}" cannot be read: expected e.g. "app=web"`);
  if (parts.absentKey) return (labels) => !Object.hasOwn(labels, parts.absentKey ?? '');
  if (parts.setKey) {
    const values = (parts.values ?? '').split(',').map((value) => value.trim());
    const isIn = (labels: Record<string, string>) => values.includes(labels[parts.setKey ?? ''] ?? '\0');
    return parts.setOperator === 'in' ? isIn : (labels) => !isIn(labels);
  }
  const name = parts.key ?? '';
  if (!parts.operator) return (labels) => Object.hasOwn(labels, name);
  if (parts.operator === '!=') return (labels) => labels[name] !== parts.value;
  return (labels) => labels[name] === parts.value;
}
