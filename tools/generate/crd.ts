// The CustomResourceDefinition of a kind.
import { createHash } from 'node:crypto';
import { crdNameOf, type KindDefinition, type KindVersion } from '../../k8s/api/definition.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { type StructuralSchema, structuralSchemaOf } from './schema.ts';

/** The CustomResourceDefinition of a kind, labelled with the version of Continuo that it comes from. */
export function crdOf(definition: KindDefinition, continuoVersion: string): KubeObject {
  const schema = rootSchemaOf(definition);
  const spec = {
    group: definition.group,
    names: {
      kind: definition.kind,
      listKind: `${definition.kind}List`,
      plural: definition.plural,
      singular: definition.singular,
      ...(definition.shortNames.length > 0 ? { shortNames: definition.shortNames } : {}),
      categories: definition.categories,
    },
    scope: 'Namespaced',
    conversion: { strategy: 'None' },
    versions: definition.versions.map((version) => versionOf(definition, version, schema)),
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: crdNameOf(definition),
      annotations: {
        'kustomize.toolkit.fluxcd.io/substitute': 'disabled',
        'continuo.dev/crd-version': continuoVersion,
        'continuo.dev/crd-digest': `sha256:${createHash('sha256').update(JSON.stringify(spec)).digest('hex').slice(0, 12)}`,
      },
      labels: {
        'app.kubernetes.io/part-of': 'flux',
        'app.kubernetes.io/instance': 'flux-system',
        'app.kubernetes.io/version': continuoVersion,
        'app.kubernetes.io/component': definition.component,
      },
    },
    spec,
  };
}

/**
 * The schema of the whole object. The API server demands kind, apiVersion and name itself; a `spec` that must say something
 * must be there.
 */
export function rootSchemaOf(definition: KindDefinition): StructuralSchema {
  const spec = structuralSchemaOf(definition.spec);
  const properties: Record<string, StructuralSchema> = {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    metadata: { type: 'object' },
    spec: { description: 'What is wanted.', ...spec },
  };
  if (definition.status) {
    const { type, ...status } = structuralSchemaOf(definition.status);
    const initial = definition.statusDefault ? { default: { ...definition.statusDefault } } : {};
    properties.status = { description: 'What was last observed.', type, ...initial, ...status };
  }
  return {
    description: definition.description,
    type: 'object',
    properties,
    ...(spec.required ? { required: ['spec'] } : {}),
  };
}

function versionOf(definition: KindDefinition, version: KindVersion, schema: StructuralSchema) {
  return {
    name: version.name,
    served: true,
    storage: version.isStored,
    ...(version.deprecationWarning ? { deprecated: true, deprecationWarning: version.deprecationWarning } : {}),
    ...(definition.status ? { subresources: { status: {} } } : {}),
    additionalPrinterColumns: definition.columns,
    schema: { openAPIV3Schema: schema },
  };
}
