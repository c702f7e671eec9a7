// The objects that the demo puts into the cluster: the rest comes out of the repository.
import { type Kind, kinds } from '../../k8s/api/index.ts';
import type { KubeObject } from '../../k8s/object.ts';

export const demoNamespace = 'flux-system';

/** What is followed until it is ready, in the order of the way. */
export const demoTargets: readonly { kind: Kind; name: string }[] = [
  { kind: 'GitRepository', name: 'demo' },
  { kind: 'Kustomization', name: 'demo' },
  { kind: 'Kustomization', name: 'staging' },
  { kind: 'Kustomization', name: 'production' },
];

/** Namespace, source, and the Kustomization that applies `clusters/local` with the two others in it. */
export function demoObjects(url: string): KubeObject[] {
  const metadata = { name: 'demo', namespace: demoNamespace };
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: demoNamespace } },
    {
      apiVersion: `${kinds.GitRepository.group}/v1`,
      kind: 'GitRepository',
      metadata,
      spec: { interval: '5s', url, ref: { branch: 'main' } },
    },
    {
      apiVersion: `${kinds.Kustomization.group}/v1`,
      kind: 'Kustomization',
      metadata,
      spec: {
        interval: '10m',
        retryInterval: '30s',
        timeout: '5m',
        sourceRef: { kind: 'GitRepository', name: 'demo' },
        path: './clusters/local',
        prune: true,
        wait: true,
      },
    },
  ];
}
