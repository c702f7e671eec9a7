import { describe, expect, test } from 'vitest';
import { importsOf, importViolations } from './import-direction.ts';

describe('importsOf', () => {
  test('finds every form of import with its line, and knows what is only a type', () => {
    const text = [
      "import { a } from './a.ts';",
      "import type { B } from './b.ts';",
      'import {',
      '  c,',
      '  type C,',
      "} from './c.ts';",
      "export * from './d.ts';",
      "export type { E } from './e.ts';",
      "import './f.ts';",
      "const g = await import('./g.ts');",
    ].join('\n');

    expect(importsOf(text)).toEqual([
      { specifier: './a.ts', isTypeOnly: false, line: 1 },
      { specifier: './b.ts', isTypeOnly: true, line: 2 },
      { specifier: './c.ts', isTypeOnly: false, line: 3 },
      { specifier: './d.ts', isTypeOnly: false, line: 7 },
      { specifier: './e.ts', isTypeOnly: true, line: 8 },
      { specifier: './f.ts', isTypeOnly: false, line: 9 },
      { specifier: './g.ts', isTypeOnly: false, line: 10 },
    ]);
  });

  test('sees no import in a comment or in an export of a value', () => {
    const text = "// import { a } from './a.ts';\n/* import './b.ts'; */\nexport const name = 'x';\n";

    expect(importsOf(text)).toEqual([]);
  });
});

describe('importViolations', () => {
  const cases: { title: string; path: string; line: string; isAllowed: boolean }[] = [
    {
      title: 'a workflow importing a workflow',
      path: 'workflows/a.ts',
      line: "import { b } from './b.ts'",
      isAllowed: true,
    },
    {
      title: 'a workflow importing types of an activity',
      path: 'workflows/a.ts',
      line: "import type { B } from '../activities/build/b.ts'",
      isAllowed: true,
    },
    {
      title: 'a workflow importing an activity',
      path: 'workflows/a.ts',
      line: "import { b } from '../activities/build/b.ts'",
      isAllowed: false,
    },
    {
      title: 'a workflow importing the table of reasons',
      path: 'workflows/decisions/a.ts',
      line: "import { reasons } from '../../activities/errors.ts'",
      isAllowed: true,
    },
    {
      title: 'a workflow importing the Kubernetes client',
      path: 'workflows/a.ts',
      line: "import { createKubeClient } from '../k8s/kube-client.ts'",
      isAllowed: false,
    },
    {
      title: 'a workflow importing node',
      path: 'workflows/a.ts',
      line: "import { join } from 'node:path'",
      isAllowed: false,
    },
    {
      title: 'a workflow importing the Temporal client',
      path: 'workflows/a.ts',
      line: "import { Client } from '@temporalio/client'",
      isAllowed: false,
    },
    {
      title: 'a workflow importing the workflow API',
      path: 'workflows/a.ts',
      line: "import { sleep } from '@temporalio/workflow'",
      isAllowed: true,
    },
    {
      title: 'a stage importing itself',
      path: 'activities/build/a.ts',
      line: "import { b } from './b.ts'",
      isAllowed: true,
    },
    {
      title: 'a stage importing another stage',
      path: 'activities/build/a.ts',
      line: "import { b } from '../apply/b.ts'",
      isAllowed: false,
    },
    {
      title: 'a stage importing types of another stage',
      path: 'activities/build/a.ts',
      line: "import type { B } from '../apply/b.ts'",
      isAllowed: true,
    },
    {
      title: 'a stage importing what all stages share',
      path: 'activities/build/a.ts',
      line: "import { failure } from '../errors.ts'",
      isAllowed: true,
    },
    {
      title: 'a stage importing k8s',
      path: 'activities/build/a.ts',
      line: "import { refOf } from '../../k8s/object.ts'",
      isAllowed: true,
    },
    {
      title: 'k8s importing a type of a stage',
      path: 'k8s/a.ts',
      line: "import type { B } from '../activities/build/b.ts'",
      isAllowed: false,
    },
    {
      title: 'k8s importing Temporal',
      path: 'k8s/a.ts',
      line: "import { ApplicationFailure } from '@temporalio/common'",
      isAllowed: false,
    },
    { title: 'k8s importing a package', path: 'k8s/a.ts', line: "import * as z from 'zod'", isAllowed: true },
    {
      title: 'a worker importing an activity',
      path: 'workers/a.ts',
      line: "import { b } from '../activities/build/b.ts'",
      isAllowed: true,
    },
    {
      title: 'a worker importing the local platform',
      path: 'workers/a.ts',
      line: "import { startPlatform } from '../tools/platform/index.ts'",
      isAllowed: false,
    },
    {
      title: 'the CLI importing the local platform',
      path: 'cli/up.ts',
      line: "import { startPlatform } from '../tools/platform/index.ts'",
      isAllowed: true,
    },
    {
      title: 'a unit test importing anything',
      path: 'workflows/a.test.ts',
      line: "import { b } from '../activities/build/b.ts'",
      isAllowed: true,
    },
  ];

  test.each(cases)('$title: allowed $isAllowed', ({ path, line, isAllowed }) => {
    const violations = importViolations([{ path, text: `${line};\n` }]);

    expect(violations.length === 0).toBe(isAllowed);
  });

  test('names file, line, import and the rule', () => {
    const text = "import { a } from './a.ts';\nimport { b } from '../apply/b.ts';\n";

    expect(importViolations([{ path: 'activities/build/x.ts', text }])).toEqual([
      'activities/build/x.ts:2 imports "../apply/b.ts": a stage imports only types of another stage ("apply")',
    ]);
  });
});
