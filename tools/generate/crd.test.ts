import { describe, expect, test } from 'vitest';
import { kinds } from '../../k8s/api/index.ts';
import { crdOf } from './crd.ts';
import type { StructuralSchema } from './schema.ts';

interface CrdSpec {
  names: Record<string, unknown>;
  versions: {
    name: string;
    served: boolean;
    storage: boolean;
    deprecated?: boolean;
    subresources?: unknown;
    additionalPrinterColumns: { name: string }[];
    schema: { openAPIV3Schema: StructuralSchema };
  }[];
}

const specOf = (kind: keyof typeof kinds): CrdSpec => crdOf(kinds[kind], '1.2.3').spec as CrdSpec;
const schemaOf = (kind: keyof typeof kinds): Record<string, StructuralSchema> =>
  specOf(kind).versions[0]?.schema.openAPIV3Schema.properties ?? {};

describe('crdOf', () => {
  test('labels the Kustomization CRD as the flux CLI expects it, with our version', () => {
    const crd = crdOf(kinds.Kustomization, '1.2.3');

    expect(crd).toMatchObject({
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: {
        name: 'kustomizations.kustomize.toolkit.fluxcd.io',
        annotations: { 'kustomize.toolkit.fluxcd.io/substitute': 'disabled', 'continuo.dev/crd-version': '1.2.3' },
        labels: {
          'app.kubernetes.io/part-of': 'flux',
          'app.kubernetes.io/instance': 'flux-system',
          'app.kubernetes.io/version': '1.2.3',
          'app.kubernetes.io/component': 'kustomize-controller',
        },
      },
      spec: {
        group: 'kustomize.toolkit.fluxcd.io',
        scope: 'Namespaced',
        conversion: { strategy: 'None' },
        names: {
          kind: 'Kustomization',
          listKind: 'KustomizationList',
          plural: 'kustomizations',
          singular: 'kustomization',
          shortNames: ['ks'],
          categories: ['all', 'fluxcd', 'fluxcd-appliers'],
        },
      },
    });
  });

  test('the Kustomization CRD has the defaults, the rules and the columns of the contract', () => {
    const { spec, status } = schemaOf('Kustomization');

    expect(spec?.required).toEqual(['interval', 'sourceRef', 'prune']);
    expect(spec?.properties?.force).toMatchObject({ type: 'boolean', default: false });
    expect(spec?.properties?.interval?.pattern).toBe('^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$');
    expect(spec?.properties?.kubeConfig?.['x-kubernetes-validations']).toHaveLength(1);
    expect(spec?.properties?.targetNamespace).toMatchObject({ minLength: 1, maxLength: 63 });
    expect(status?.default).toEqual({ observedGeneration: -1 });
    expect(specOf('Kustomization').versions[0]?.additionalPrinterColumns).toEqual([
      { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
      { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
      { name: 'Status', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].message' },
    ]);
  });

  test('keeps Helm values as they are', () => {
    const values = schemaOf('HelmRelease').spec?.properties?.values;

    expect(values).toMatchObject({ 'x-kubernetes-preserve-unknown-fields': true });
    expect(values).not.toHaveProperty('type');
  });

  test('serves the image kinds in two versions of one schema and stores v1', () => {
    for (const kind of ['ImageRepository', 'ImagePolicy', 'ImageUpdateAutomation'] as const) {
      const [v1, v1beta2] = specOf(kind).versions;

      expect(v1).toMatchObject({ name: 'v1', served: true, storage: true });
      expect(v1beta2).toMatchObject({ name: 'v1beta2', served: true, storage: false, deprecated: true });
      expect(v1beta2?.schema).toEqual(v1?.schema);
    }
  });

  test('Provider and Alert have no status subresource', () => {
    for (const kind of ['Provider', 'Alert'] as const) {
      expect(specOf(kind).versions[0]?.subresources).toBeUndefined();
      expect(schemaOf(kind).status).toBeUndefined();
    }
  });

  test('the digest changes with the spec and not with the version', () => {
    const digestOf = (definition: (typeof kinds)['Bucket'], version: string): string | undefined =>
      crdOf(definition, version).metadata.annotations?.['continuo.dev/crd-digest'];

    expect(digestOf(kinds.Bucket, '1.0.0')).toBe(digestOf(kinds.Bucket, '2.0.0'));
    expect(digestOf({ ...kinds.Bucket, shortNames: ['bu'] }, '1.0.0')).not.toBe(digestOf(kinds.Bucket, '1.0.0'));
  });
});
