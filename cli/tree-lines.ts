// What a Kustomization has applied, as a tree of lines. Pure.
import { paint, shortHashes } from './output.ts';
import { oneLine } from './table.ts';

/** How an object stands: `Ready`, `Suspended` … for our kinds, `Remote` for another cluster, else the words of health. */
export interface TreeNode {
  apiVersion: string;
  kind: string;
  namespace?: string;
  name: string;
  status: string;
  /** Why it is so; empty where the status says all. */
  message: string;
  children: TreeNode[];
}

const colours: Record<string, 'green' | 'yellow' | 'red'> = {
  Ready: 'green',
  Current: 'green',
  InProgress: 'yellow',
  Terminating: 'yellow',
  Suspended: 'yellow',
  Failed: 'red',
  NotFound: 'red',
};

/** One line for each node, the root first: `├── Deployment/apps/web InProgress: 1 of 3 replicas are ready`. */
export function treeLines(root: TreeNode): string[] {
  return [lineOf(root), ...childLines(root, '')];
}

function childLines({ children }: TreeNode, indent: string): string[] {
  return children.flatMap((child, index) => {
    const isLast = index === children.length - 1;
    const below = childLines(child, `${indent}${isLast ? '    ' : '│   '}`);
    return [`${indent}${isLast ? '└── ' : '├── '}${lineOf(child)}`, ...below];
  });
}

function lineOf({ kind, namespace, name, status, message }: TreeNode): string {
  const subject = namespace ? `${kind}/${namespace}/${name}` : `${kind}/${name}`;
  const colour = colours[status];
  const text = message ? `: ${shortHashes(oneLine(message))}` : '';
  return `${subject} ${colour ? paint(colour, status) : status}${text}`;
}

/** Only what is of a kind of ours, and the objects that it has applied in its place. */
export function compactTree(root: TreeNode, isOurs: (node: TreeNode) => boolean): TreeNode {
  const children = root.children.filter((child) => isOurs(child)).map((child) => compactTree(child, isOurs));
  return { ...root, children };
}
