// The columns of `continuo get`: the same for every kind, filled from where each kind keeps it.
import { type Kind, kinds } from '../k8s/api/index.ts';
import type { KubeObject } from '../k8s/object.ts';
import { isStatic } from '../k8s/static-objects.ts';
import { workflowTypes } from '../workflows/messages.ts';
import { ageOf, paintStatus, shortHashes } from './output.ts';
import { conditionOf, isSuspended } from './readiness.ts';
import type { Column } from './table.ts';

export interface ObjectColumnOptions {
  isWide: boolean;
  hasNamespace: boolean;
  /** Names with their kind before them, as where several kinds are listed. */
  hasKind: boolean;
  nowMs: () => number;
}

/** Only what the columns read, of any kind. */
interface AnyObject extends KubeObject {
  spec?: {
    url?: string;
    endpoint?: string;
    bucketName?: string;
    image?: string;
    chart?: string | { spec?: { chart?: string; sourceRef?: { kind: string; name: string } } };
    chartRef?: { kind: string; name: string };
    sourceRef?: { kind?: string; name: string; namespace?: string };
    imageRepositoryRef?: { name: string };
    path?: string;
  };
  status?: {
    artifact?: { revision?: string; lastUpdateTime?: string };
    lastAppliedRevision?: string;
    history?: { chartVersion?: string; lastReconciled?: string; lastDeployed?: string }[];
    latestRef?: { tag?: string };
    lastPushCommit?: string;
  };
}

export function objectColumns(options: ObjectColumnOptions): Column<KubeObject>[] {
  const { isWide, hasNamespace, hasKind, nowMs } = options;
  const wideColumns: Column<KubeObject>[] = [
    { title: 'SOURCE', value: sourceCell },
    { title: 'PATH', value: (object) => (object as AnyObject).spec?.path || '-' },
    { title: 'LAST APPLIED', value: (object) => ageOf(lastAppliedAt(object), nowMs()) },
    { title: 'STATUS', value: (object) => conditionOf(object, 'Ready')?.reason ?? '-' },
  ];
  return [
    ...(hasNamespace ? [{ title: 'NAMESPACE', value: (object: KubeObject) => object.metadata.namespace ?? '' }] : []),
    {
      title: 'NAME',
      value: (object) => (hasKind ? `${object.kind.toLowerCase()}/` : '') + object.metadata.name,
    },
    { title: 'REVISION', value: (object) => shortHashes(revisionOf(object) ?? '-') },
    { title: 'SUSPENDED', value: suspendedCell },
    { title: 'READY', value: readyCell, paint: paintStatus },
    { title: 'MESSAGE', value: messageCell },
    { title: 'AGE', value: (object) => ageOf(object.metadata.creationTimestamp, nowMs()) },
    ...(isWide ? wideColumns : []),
  ];
}

/** The revision that is in place: of the artifact, of what was applied, of the chart, or the tag that was chosen. */
export function revisionOf(object: KubeObject): string | undefined {
  const { status } = object as AnyObject;
  return (
    status?.lastAppliedRevision ??
    status?.artifact?.revision ??
    status?.history?.[0]?.chartVersion ??
    status?.latestRef?.tag ??
    status?.lastPushCommit
  );
}

function suspendedCell(object: KubeObject): string {
  if (object.kind === 'ExternalArtifact') return '-';
  return isSuspended(object) ? 'True' : 'False';
}

function readyCell(object: KubeObject): string {
  if (isStatic(object)) return 'True';
  return conditionOf(object, 'Ready')?.status ?? (hasStatus(object) ? 'Unknown' : '-');
}

function messageCell(object: KubeObject): string {
  const message = conditionOf(object, 'Ready')?.message;
  if (message !== undefined) return shortHashes(message);
  if (isStatic(object)) return 'Helm repository is Ready'; // as flux says it of a registry's address
  if (!hasStatus(object)) return 'configuration for others, has no state of its own';
  if (object.kind === 'ExternalArtifact') return 'waiting for who makes it';
  if (!Object.hasOwn(workflowTypes, object.kind)) return 'not reconciled by this version of Continuo';
  return isSuspended(object) ? 'suspended, not reconciled yet' : 'waiting to be reconciled';
}

function hasStatus(object: KubeObject): boolean {
  return kinds[object.kind as Kind]?.status !== undefined;
}

function sourceCell(object: KubeObject): string {
  const { spec } = object as AnyObject;
  if (!spec) return '-';
  const chart = typeof spec.chart === 'object' ? spec.chart.spec : undefined;
  const ref = spec.sourceRef ?? spec.chartRef ?? chart?.sourceRef;
  if (ref) return `${ref.kind ?? ''}${ref.kind ? '/' : ''}${ref.name}`;
  if (spec.imageRepositoryRef) return `ImageRepository/${spec.imageRepositoryRef.name}`;
  const address = spec.url ?? spec.image ?? (spec.bucketName && `${spec.endpoint ?? ''}/${spec.bucketName}`);
  return address ? address.replace(/\/\/[^/@]*@/, '//') : '-';
}

/** When the object last took effect: a reconcile, a release, or a new artifact. */
export function lastAppliedAt(object: KubeObject): string | undefined {
  const { status } = object as AnyObject;
  const last = status?.history?.[0];
  return last?.lastReconciled ?? last?.lastDeployed ?? status?.artifact?.lastUpdateTime;
}
