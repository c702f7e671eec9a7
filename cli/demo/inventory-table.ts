// What the demo has put into the cluster, from the inventories of its Kustomizations.
import type { Kustomization } from '../../k8s/api/kustomization.ts';
import type { KubeClient } from '../../k8s/client.ts';
import { type KubeObject, refOfInventoryEntry } from '../../k8s/object.ts';
import { readinessOf } from '../readiness.ts';
import { tableLines } from '../table.ts';

interface Row {
  namespace: string;
  object: string;
  status: string;
  by: string;
}

/** A table of the objects of these Kustomizations, as lines. */
export async function inventoryTable(kube: KubeClient, kustomizations: readonly Kustomization[]): Promise<string[]> {
  const rows = await Promise.all(
    kustomizations.flatMap((owner) =>
      (owner.status?.inventory?.entries ?? []).map(async (entry): Promise<Row> => {
        const ref = refOfInventoryEntry(entry);
        const object = await kube.get(ref);
        return {
          namespace: ref.namespace || '-',
          object: `${ref.kind}/${ref.name}`,
          status: object ? statusWord(object) : 'missing',
          by: owner.metadata.name,
        };
      }),
    ),
  );
  return tableLines<Row>(
    [
      { title: 'KUSTOMIZATION', value: (row) => row.by },
      { title: 'NAMESPACE', value: (row) => row.namespace },
      { title: 'OBJECT', value: (row) => row.object },
      { title: 'STATUS', value: (row) => row.status },
    ],
    rows,
  );
}

/** The one fact about an object that a person looks for. */
export function statusWord(object: KubeObject): string {
  const {
    kind,
    spec = {},
    status = {},
  } = object as {
    kind: string;
    spec?: { replicas?: number; minReplicas?: number; maxReplicas?: number; rules?: { host?: string }[] };
    status?: { readyReplicas?: number; phase?: string };
  };
  switch (kind) {
    case 'Deployment':
      return `${status.readyReplicas ?? 0}/${spec.replicas ?? 1} pods ready`;
    case 'HorizontalPodAutoscaler':
      return `${spec.minReplicas ?? 1} to ${spec.maxReplicas ?? 1} pods`;
    case 'Ingress':
      return (spec.rules ?? []).map((rule) => rule.host ?? '*').join(', ');
    case 'Kustomization':
      return readinessOf(object).state;
    case 'Namespace':
      return (status.phase ?? 'there').toLowerCase();
    default:
      return 'there';
  }
}
