// `spec.pathPattern`: the artifacts are made once for each directory that fits (contract 1.7). Pure.
import { RE2JS } from 're2js';
import { failure } from '../../errors.ts';
import { type CopyOperation, parseAliased } from './copy-rules.ts';
import type { SourceTree } from './source-tree.ts';

/** One artifact that is to be made. */
export interface OutputArtifact {
  name: string;
  /** `@<alias>` */
  revision?: string;
  originRevision?: string;
  copy: CopyOperation[];
}

/** The same, once the captures are filled in; they become labels. */
export interface PlannedOutput extends OutputArtifact {
  labels: Record<string, string>;
}

/** More artifacts than the API server lets a spec have. */
export const maxOutputs = 1000;
const captureName = /^[A-Za-z_][A-Za-z0-9_]*$/;
const labelValue = /^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$/;
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/**
 * The artifacts of a spec. Fails with ValidationFailed for a pattern or template that is none, and with BuildFailed for a
 * directory of the source whose name cannot be used.
 */
export function planOutputs(
  { artifacts, pathPattern }: { artifacts: OutputArtifact[]; pathPattern?: string },
  treeOf: (alias: string) => SourceTree,
): PlannedOutput[] {
  if (!pathPattern) return artifacts.map((artifact) => ({ ...artifact, labels: {} }));
  const { alias, path } = validated(() => parseAliased(pathPattern));
  const { names, matches } = validated(() => compilePattern(path));
  const planned: PlannedOutput[] = [];
  const directories = new Map<string, string>();
  for (const directory of treeOf(alias).directories()) {
    const captured = matches(directory);
    if (!captured) continue;
    const raw = Object.fromEntries(names.map((name, at) => [name, captured[at] ?? '']));
    const labels = Object.fromEntries(Object.entries(raw).map(([name, value]) => [name, value.toLowerCase()]));
    for (const [name, value] of Object.entries(labels)) checkLabel(name, value, directory);
    for (const artifact of artifacts) {
      const output = validated(() => rendered(artifact, raw, labels));
      if (!subdomain.test(output.name) || output.name.length > 253) {
        throw failure('BuildFailed', `directory "${directory}" gives "${output.name}", which is no name of an object`);
      }
      const before = directories.get(output.name);
      if (before !== undefined) {
        const both = before === directory ? `"${directory}" twice` : `"${before}" and "${directory}" both`;
        throw failure('BuildFailed', `${both} give the artifact name "${output.name}"`);
      }
      directories.set(output.name, directory);
      planned.push(output);
      if (planned.length > maxOutputs)
        throw failure('BuildFailed', `${pathPattern} gives more than ${maxOutputs} artifacts`);
    }
  }
  return planned;
}

function compilePattern(pattern: string): { names: string[]; matches: (path: string) => string[] | undefined } {
  const names: string[] = [];
  const expression = template(
    pattern,
    (name) => {
      if (names.includes(name)) throw new Error(`the capture "{${name}}" is in it twice`);
      names.push(name);
      return '([^/]+)';
    },
    RE2JS.quote,
  );
  const compiled = RE2JS.compile(expression);
  return {
    names,
    matches(path) {
      const matcher = compiled.matcher(path);
      return matcher.matches() ? names.map((_, at) => matcher.group(at + 1) ?? '') : undefined;
    },
  };
}

function rendered(
  artifact: OutputArtifact,
  raw: Record<string, string>,
  labels: Record<string, string>,
): PlannedOutput {
  const fill = (text: string, values: Record<string, string>): string =>
    template(text, (name) => {
      const value = Object.hasOwn(values, name) ? values[name] : undefined;
      if (value === undefined)
        throw new Error(`"${text}" uses the capture "{${name}}", which spec.pathPattern has not`);
      return value;
    });
  return {
    ...artifact,
    name: fill(artifact.name, labels),
    labels,
    copy: artifact.copy.map((one) => ({ ...one, from: fill(one.from, raw), to: fill(one.to, raw) })),
  };
}

/** Replaces each `{name}`; the text between them goes through `literal`. */
function template(text: string, capture: (name: string) => string, literal = (part: string) => part): string {
  return text
    .split(/(\{[^{}]*\})/)
    .map((part, at) => {
      if (at % 2 === 0) {
        if (/[{}]/.test(part)) throw new Error(`"${text}" has a brace without its other half`);
        return literal(part);
      }
      const name = part.slice(1, -1);
      if (!captureName.test(name) || name.length > 63) {
        throw new Error(
          `"${text}" has the capture "${part}": a name is letters, digits and "_", and begins with no digit`,
        );
      }
      return capture(name);
    })
    .join('');
}

function checkLabel(name: string, value: string, directory: string): void {
  if (/^[A-Za-z0-9]([A-Za-z0-9_]*[A-Za-z0-9])?$/.test(name)) {
    if (labelValue.test(value) && value.length <= 63) return;
    throw failure(
      'BuildFailed',
      `directory "${directory}" gives {${name}} the value "${value}", which is no label value`,
    );
  }
  throw failure('ValidationFailed', `the capture "{${name}}" cannot be a label: it begins or ends with "_"`);
}

function validated<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw failure('ValidationFailed', `spec.pathPattern: ${(error as Error).message}`, { cause: error });
  }
}
