// The objects that the demo puts into the cluster: the rest comes out of the repository.
import { type Kind, kinds } from '../../k8s/api/index.ts';
import type { KubeObject } from '../../k8s/object.ts';

export const demoNamespace = 'flux-system';

/** What is applied, and then followed until it is ready. */
export interface DemoStep {
  apply: readonly KubeObject[];
  targets: readonly { kind: Kind; name: string }[];
}

/** First the source, then the Kustomization that applies `clusters/local` with the two others in it. */
export function demoSteps(url: string): DemoStep[] {
  const metadata = { name: 'demo', namespace: demoNamespace };
  const source: KubeObject = {
    apiVersion: `${kinds.GitRepository.group}/v1`,
    kind: 'GitRepository',
    metadata,
    spec: { interval: '10s', url, ref: { branch: 'main' } },
  };
  const root: KubeObject = {
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
  };
  return [
    {
      apply: [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: demoNamespace } }, source],
      targets: [{ kind: 'GitRepository', name: 'demo' }],
    },
    {
      apply: [root],
      targets: [
        { kind: 'Kustomization', name: 'demo' },
        { kind: 'Kustomization', name: 'staging' },
        { kind: 'Kustomization', name: 'production' },
      ],
    },
  ];
}
