// What a kind of ours is, as data: the CRD, the reference page and the API client paths are all made from it.
import type * as z from 'zod';
import type { ResourceInfo } from '../client.ts';

/** One column of `kubectl get`. `priority` 1 shows it with `-o wide` only. */
export interface PrinterColumn {
  name: string;
  type: 'string' | 'date';
  jsonPath: string;
  priority?: 1;
}

/** One version of the API. All versions of a kind share one schema, so that no conversion is needed. */
export interface KindVersion {
  name: string;
  /** Exactly one version of a kind is stored. */
  isStored: boolean;
  /** Shown by the API server to whoever uses this version. */
  deprecationWarning?: string;
}

/** A custom resource kind of ours (contract 1.0, inventory of kinds). */
export interface KindDefinition {
  group: string;
  versions: readonly KindVersion[];
  kind: string;
  plural: string;
  singular: string;
  shortNames: readonly string[];
  categories: readonly string[];
  /** One sentence for the CRD and the reference page. */
  description: string;
  /** The controller's name that the `flux` CLI expects in `app.kubernetes.io/component`. */
  component: string;
  columns: readonly PrinterColumn[];
  spec: z.ZodObject;
  /** Undefined: the kind has neither a status nor a status subresource. */
  status: z.ZodObject | undefined;
  /** What a new object's status holds before its first reconcile; undefined: nothing. */
  statusDefault: Readonly<Record<string, unknown>> | undefined;
  /** Undefined: the kind never carries a finalizer of ours. */
  finalizer: string | undefined;
}

/** The finalizer of every kind but the ArtifactGenerator. */
export const fluxFinalizer = 'finalizers.fluxcd.io';

/** The status of an object that was never reconciled: any generation differs from it. */
export const neverObserved = { observedGeneration: -1 } as const;

/** The version that the API server stores; the one to read and write with. */
export function storedVersionOf(definition: Pick<KindDefinition, 'kind' | 'versions'>): string {
  const stored = definition.versions.find((version) => version.isStored);
  if (!stored) throw new Error(`kind "${definition.kind}" has no stored version`);
  return stored.name;
}

/** `<plural>.<group>`: the name of the kind's CustomResourceDefinition. */
export function crdNameOf(definition: Pick<KindDefinition, 'plural' | 'group'>): string {
  return `${definition.plural}.${definition.group}`;
}

/** The columns that several kinds share. */
export const ageColumn: PrinterColumn = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };
export const readyColumn: PrinterColumn = {
  name: 'Ready',
  type: 'string',
  jsonPath: '.status.conditions[?(@.type=="Ready")].status',
};
export const messageColumn: PrinterColumn = {
  name: 'Status',
  type: 'string',
  jsonPath: '.status.conditions[?(@.type=="Ready")].message',
};

/** A column with a plain string. */
export function stringColumn(name: string, jsonPath: string): PrinterColumn {
  return { name, type: 'string', jsonPath };
}

/** How the API server addresses the kind, in its stored version. */
export function resourceOf(definition: KindDefinition): ResourceInfo {
  return {
    group: definition.group,
    version: storedVersionOf(definition),
    kind: definition.kind,
    resource: definition.plural,
    namespaced: true,
  };
}
