// Imports go one way (CONTRIBUTING, Rules; design, section 2): a table of rules, and a pure function that applies it.
import { posix } from 'node:path';

/** One import of a module. `isTypeOnly` is `import type` or `export type`, which is erased before anything runs. */
export interface Import {
  specifier: string;
  isTypeOnly: boolean;
  line: number;
}

/** One source file, its path relative to the repository's root. */
export interface SourceFile {
  path: string;
  text: string;
}

interface Rule {
  /** Files that the rule is for, by the start of their path. */
  from: string;
  /** Starts of paths below the root, names of packages or starts of them, that these files must not import. */
  forbidden: readonly string[];
  /** Exceptions from `forbidden`. */
  allowed: readonly string[];
  /** True when `import type` may reach what is forbidden. */
  areTypesFine: boolean;
  why: string;
}

const folders = ['workflows/', 'activities/', 'k8s/', 'workers/', 'cli/', 'tools/', 'test/', 'bench/'] as const;

/** The rules. The stages of `activities` have their own one, as it depends on the file (see {@link importViolations}). */
export const rules: readonly Rule[] = [
  {
    from: 'workflows/',
    forbidden: [...folders.filter((folder) => folder !== 'workflows/'), 'node:', '@temporalio/'],
    // The table of reasons and the words for objects are plain data and pure functions: safe to run in a workflow.
    allowed: ['activities/errors.ts', 'k8s/object.ts', '@temporalio/workflow', '@temporalio/common'],
    areTypesFine: true,
    why: 'workflows are deterministic: they import workflows, and only types of activities and of k8s',
  },
  {
    from: 'activities/',
    forbidden: ['workflows/', 'workers/', 'cli/', 'tools/', 'test/', 'bench/'],
    // Pure rules, which a stage may apply to what it finds as the workflow does.
    allowed: ['workflows/decisions/'],
    areTypesFine: true,
    why: 'activities are composed by workers; they know neither workflows nor processes',
  },
  {
    from: 'k8s/',
    forbidden: [...folders.filter((folder) => folder !== 'k8s/'), '@temporalio/'],
    allowed: [],
    areTypesFine: false,
    why: 'k8s speaks Kubernetes: it imports no stage and nothing of Temporal',
  },
  {
    from: 'workers/',
    forbidden: ['cli/', 'tools/', 'test/', 'bench/'],
    allowed: [],
    areTypesFine: false,
    why: 'workers run in a cluster, where neither the CLI nor the local platform is',
  },
  {
    from: 'cli/',
    forbidden: ['test/', 'bench/'],
    allowed: [],
    areTypesFine: false,
    why: 'what is shipped does not import tests',
  },
  {
    from: 'tools/',
    forbidden: ['test/', 'bench/'],
    allowed: [],
    areTypesFine: false,
    why: 'what is shipped does not import tests',
  },
];

/** What all stages may use: functions over the bytes and paths of archives, which know no stage. */
const sharedByStages = ['digest', 'extract', 'tar-path'].map((name) => `activities/artifact/${name}.ts`);

/** A line for each import that goes the wrong way. Test files may import what they like. */
export function importViolations(files: readonly SourceFile[]): string[] {
  return files.filter((file) => !isTestFile(file.path)).flatMap(violationsOfFile);
}

function violationsOfFile(file: SourceFile): string[] {
  const violations: string[] = [];
  for (const found of importsOf(file.text)) {
    const target = resolve(file.path, found.specifier);
    const why = reasonAgainst(file.path, target, found.isTypeOnly);
    if (why) violations.push(`${file.path}:${found.line} imports "${found.specifier}": ${why}`);
  }
  return violations;
}

function reasonAgainst(path: string, target: string, isTypeOnly: boolean): string | undefined {
  for (const rule of rules) {
    if (!path.startsWith(rule.from) || (isTypeOnly && rule.areTypesFine)) continue;
    if (!startsWithAny(target, rule.forbidden) || startsWithAny(target, rule.allowed)) continue;
    return rule.why;
  }
  const other = sharedByStages.includes(target) ? undefined : stageOf(target);
  if (path.startsWith('activities/') && !isTypeOnly && other !== undefined && other !== stageOf(path)) {
    return `a stage imports only types of another stage ("${other}")`;
  }
  return undefined;
}

/** `build` for `activities/build/x.ts`; undefined for what is shared by all stages. */
function stageOf(path: string): string | undefined {
  return /^activities\/([^/]+)\//.exec(path)?.[1];
}

/** True for files that only tests use. */
export function isTestFile(path: string): boolean {
  return path.startsWith('test/') || path.startsWith('bench/') || path.endsWith('.test.ts');
}

/** The imports and re-exports of a module in their order, dynamic ones too. */
export function importsOf(text: string): Import[] {
  // Blanks instead of comments: line numbers stay, and an import in an example is none.
  const code = text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, (comment) => comment.replaceAll(/[^\n]/g, ' '));
  const statements = /^\s*(import|export)\s+(type\s+)?(?:[\w*\s{},$]+?\s+from\s+)?['"]([^'"\n]+)['"]/gm;
  const found: Import[] = [];
  for (const match of code.matchAll(statements)) {
    const keyword = match.index + match[0].indexOf(match[1] ?? '');
    found.push({ specifier: match[3] ?? '', isTypeOnly: match[2] !== undefined, line: lineOf(code, keyword) });
  }
  for (const match of code.matchAll(/\bimport\s*\(\s*['"]([^'"\n]+)['"]/g)) {
    found.push({ specifier: match[1] ?? '', isTypeOnly: false, line: lineOf(code, match.index) });
  }
  return found;
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

function resolve(path: string, specifier: string): string {
  return specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : specifier;
}

function startsWithAny(target: string, prefixes: readonly string[]): boolean {
  return prefixes.some((prefix) => target === prefix || target.startsWith(prefix));
}
