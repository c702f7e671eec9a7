import { describe, expect, it, test } from 'vitest';
import { planOutputs } from './path-pattern.ts';
import { createSourceTree } from './source-tree.ts';

const treeWith = (...paths: string[]) =>
  createSourceTree({ directory: '/', files: new Map(paths.map((path) => [path, ''])) });
const artifact = {
  name: '{app}-{env}',
  copy: [{ from: '@src/apps/{app}/{env}/**', to: '@artifact/{env}/', exclude: ['*.{md,txt}'] }],
};

describe('planOutputs', () => {
  it('gives the artifacts as they are without a pattern', () => {
    const plain = { name: 'a', copy: [{ from: '@src/{a,b}*', to: '@artifact/' }] };

    expect(planOutputs({ artifacts: [plain] }, () => treeWith())).toEqual([{ ...plain, labels: {} }]);
  });

  it('makes them for each directory that fits, names and labels in lower case', () => {
    const tree = treeWith('apps/Web/Dev/a.yaml', 'apps/api/prod/b.yaml', 'apps/api/x.yaml', 'apps/api/prod/deep/c');

    const planned = planOutputs({ artifacts: [artifact], pathPattern: '@src/apps/{app}/{env}' }, () => tree);

    expect(planned.map(({ name, labels, copy }) => [name, labels, copy[0]?.from, copy[0]?.to])).toEqual([
      ['web-dev', { app: 'web', env: 'dev' }, '@src/apps/Web/Dev/**', '@artifact/Dev/'],
      ['api-prod', { app: 'api', env: 'prod' }, '@src/apps/api/prod/**', '@artifact/prod/'],
    ]);
    expect(planned[0]?.copy[0]?.exclude).toEqual(['*.{md,txt}']);
  });

  it('takes a capture that is a part of a name, and characters that an expression would mean', () => {
    const outputs = planOutputs({ artifacts: [{ name: '{app}', copy: [] }], pathPattern: '@src/a.b/svc-{app}/' }, () =>
      treeWith('a.b/svc-x/f', 'a.b/other/f', 'aXb/svc-y/f'),
    );

    expect(outputs.map(({ name }) => name)).toEqual(['x']);
  });

  test.each([
    ['@src/apps/{app', 'has a brace without its other half'],
    ['@src/apps/{}', 'has the capture "{}"'],
    ['@src/apps/{1a}', 'has the capture "{1a}"'],
    ['@src/{a}/{a}', 'the capture "{a}" is in it twice'],
    ['@src/{app}', 'uses the capture "{env}", which spec.pathPattern has not'],
    ['@src/../{app}', 'leaves the archive by ".."'],
    ['@src/{_app}', 'cannot be a label'],
  ])('refuses %s', (pathPattern, message) => {
    const plan = () => planOutputs({ artifacts: [artifact], pathPattern }, () => treeWith('web/a'));

    expect(plan).toThrow(
      expect.objectContaining({ type: 'ValidationFailed', message: expect.stringContaining(message) }),
    );
  });

  test.each([
    ['two directories of one name', ['Web/a', 'web/a'], '"Web" and "web" both give the artifact name "web"'],
    ['a name that is none', ['a_b/a'], 'gives "a_b", which is no name of an object'],
    ['a value that is no label', ['a b/a'], 'gives {app} the value "a b", which is no label value'],
    ['a value that is too long', [`${'a'.repeat(64)}/a`], 'which is no label value'],
  ])('fails for %s', (_what, paths, message) => {
    const plan = () =>
      planOutputs({ artifacts: [{ name: '{app}', copy: [] }], pathPattern: '@src/{app}' }, () => treeWith(...paths));

    expect(plan).toThrow(expect.objectContaining({ type: 'BuildFailed', message: expect.stringContaining(message) }));
  });
});
