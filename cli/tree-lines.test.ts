import { expect, it } from 'vitest';
import { compactTree, treeLines, type TreeNode } from './tree-lines.ts';

function node(subject: string, status: string, children: TreeNode[] = [], message = ''): TreeNode {
  const [kind = '', namespace, name] = subject.split('/');
  return name === undefined
    ? { apiVersion: 'v1', kind, name: namespace ?? '', status, message, children }
    : { apiVersion: 'v1', kind, namespace, name, status, message, children };
}

const tree = node(
  'Kustomization/flux-system/root',
  'Ready',
  [
    node('Namespace/apps', 'Current'),
    node('Kustomization/flux-system/apps', 'Failed', [
      node('Service/apps/web', 'Current'),
      node('Deployment/apps/web', 'InProgress', [], '1 of 3 replicas\nare ready'),
    ]),
    node('HelmRelease/apps/chart', 'Ready'),
  ],
  'Applied revision: main@sha1:958f3edd5dcfd1bf009faada57b1d89f97bd3c06',
);

it('draws a tree: each object below what has applied it', () => {
  expect(treeLines(tree)).toEqual([
    'Kustomization/flux-system/root Ready: Applied revision: main@sha1:958f3edd',
    '├── Namespace/apps Current',
    '├── Kustomization/flux-system/apps Failed',
    '│   ├── Service/apps/web Current',
    '│   └── Deployment/apps/web InProgress: 1 of 3 replicas; are ready',
    '└── HelmRelease/apps/chart Ready',
  ]);
});

it('leaves out what is of other kinds', () => {
  const isOurs = ({ kind }: TreeNode): boolean => kind === 'Kustomization' || kind === 'HelmRelease';
  expect(treeLines(compactTree(tree, isOurs))).toEqual([
    'Kustomization/flux-system/root Ready: Applied revision: main@sha1:958f3edd',
    '├── Kustomization/flux-system/apps Failed',
    '└── HelmRelease/apps/chart Ready',
  ]);
});
