import { describe, expect, it } from 'vitest';
import type { HelmChart } from '../../../k8s/api/helm-chart.ts';
import { summaryOf, versionMetadataOf } from './chart-build.ts';
import { withBuildMetadata } from './chart-metadata.ts';

const git = `main@sha1:${'0123456789'.repeat(4)}`;
const bucket = `sha256:${'ab'.repeat(32)}`;

function chart(kind: string, spec: object): Pick<HelmChart, 'spec' | 'metadata'> {
  return {
    metadata: { name: 'x', generation: 3 },
    spec: { sourceRef: { kind, name: 's' }, ...spec } as HelmChart['spec'],
  };
}

describe('build metadata of a version', () => {
  it.each<[string, string, object, string]>([
    ['GitRepository', git, { reconcileStrategy: 'ChartVersion' }, ''],
    ['GitRepository', git, { reconcileStrategy: 'Revision' }, '012345678901'],
    ['GitRepository', `sha1:${'f'.repeat(40)}`, { reconcileStrategy: 'Revision' }, 'ffffffffffff'],
    ['Bucket', bucket, { reconcileStrategy: 'Revision', valuesFiles: ['a'] }, 'abababababab.3'],
    ['HelmRepository', bucket, { reconcileStrategy: 'Revision' }, ''],
    ['HelmRepository', bucket, { valuesFiles: ['a'] }, '3'],
    ['HelmRepository', bucket, { valuesFiles: [] }, ''],
  ])('of a chart of a %s at %s with %j is "%s"', (kind, revision, spec, metadata) => {
    expect(versionMetadataOf(chart(kind, spec), revision)).toBe(metadata);
  });

  it.each([
    ['1.2.3', 'abc', '1.2.3+abc'],
    ['1.2.3-rc.1+old', 'abc.3', '1.2.3-rc.1+abc.3'],
    ['v1.2', '3', '1.2.0+3'],
  ])('%s with %s is %s', (version, metadata, result) => {
    expect(withBuildMetadata(version, metadata)).toBe(result);
  });

  it('has only letters, digits, hyphens and dots', () => {
    expect(() => withBuildMetadata('1.2.3', 'a/b')).toThrow('cannot be the build metadata');
  });
});

it.each([
  [{ isPackaged: false, valuesFiles: [] }, "pulled 'web' chart with version '1.0.0'"],
  [
    { isPackaged: true, valuesFiles: ['a', 'b'] },
    "packaged 'web' chart with version '1.0.0' and merged values files [a b]",
  ],
])('%j is told as: %s', (built, summary) => {
  expect(summaryOf({ name: 'web', version: '1.0.0', ...built })).toBe(summary);
});
