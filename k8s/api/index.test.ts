import { describe, expect, test } from 'vitest';
import { crdNameOf, resourceOf, storedVersionOf } from './definition.ts';
import { definitions, isKind, kinds } from './index.ts';
import { providerTypes } from './provider.ts';

// Contract 1.0, inventory of kinds: group/version, short names, last category, status default, columns.
const inventory: [string, string, string[], string, unknown, string[]][] = [
  ['GitRepository', 'source.toolkit.fluxcd.io/v1', ['gitrepo'], 'sources', -1, ['URL', 'Age', 'Ready', 'Status']],
  ['OCIRepository', 'source.toolkit.fluxcd.io/v1', ['ocirepo'], 'sources', -1, ['URL', 'Ready', 'Status', 'Age']],
  ['HelmRepository', 'source.toolkit.fluxcd.io/v1', ['helmrepo'], 'sources', -1, ['URL', 'Age', 'Ready', 'Status']],
  [
    'HelmChart',
    'source.toolkit.fluxcd.io/v1',
    ['hc'],
    'sources',
    -1,
    ['Chart', 'Version', 'Source Kind', 'Source Name', 'Age', 'Ready', 'Status'],
  ],
  ['Bucket', 'source.toolkit.fluxcd.io/v1', [], 'sources', -1, ['Endpoint', 'Age', 'Ready', 'Status']],
  [
    'ExternalArtifact',
    'source.toolkit.fluxcd.io/v1',
    ['ea'],
    'sources',
    undefined,
    ['Age', 'Ready', 'Status', 'Source'],
  ],
  [
    'ArtifactGenerator',
    'source.extensions.fluxcd.io/v1beta1',
    ['ag'],
    'sources',
    undefined,
    ['Age', 'Ready', 'Status'],
  ],
  ['Kustomization', 'kustomize.toolkit.fluxcd.io/v1', ['ks'], 'appliers', -1, ['Age', 'Ready', 'Status']],
  ['HelmRelease', 'helm.toolkit.fluxcd.io/v2', ['hr'], 'appliers', -1, ['Age', 'Ready', 'Status']],
  ['Provider', 'notification.toolkit.fluxcd.io/v1beta3', [], 'notifications', undefined, ['Age']],
  ['Alert', 'notification.toolkit.fluxcd.io/v1beta3', [], 'notifications', undefined, ['Age']],
  ['Receiver', 'notification.toolkit.fluxcd.io/v1', [], 'notifications', -1, ['Age', 'Ready', 'Status']],
  [
    'ImageRepository',
    'image.toolkit.fluxcd.io/v1',
    ['imgrepo', 'imagerepo'],
    'images',
    -1,
    ['Image', 'Tags', 'Ready', 'Status', 'Last scan', 'Age'],
  ],
  [
    'ImagePolicy',
    'image.toolkit.fluxcd.io/v1',
    ['imgpol', 'imagepol'],
    'images',
    -1,
    ['Image', 'Tag', 'Ready', 'Status', 'Age'],
  ],
  [
    'ImageUpdateAutomation',
    'image.toolkit.fluxcd.io/v1',
    ['iua', 'imgupd', 'imgauto'],
    'images',
    -1,
    ['Ready', 'Status', 'Last run', 'Age'],
  ],
];

describe('kinds', () => {
  test('holds exactly the kinds of the contract, in its order', () => {
    expect(definitions.map((definition) => definition.kind)).toEqual(inventory.map(([kind]) => kind));
  });

  test.each(inventory)('%s is %s', (kind, apiVersion, shortNames, category, initialGeneration, columns) => {
    if (!isKind(kind)) throw new Error(`${kind} is missing`);
    const definition = kinds[kind];

    expect({
      kind: definition.kind,
      apiVersion: `${definition.group}/${storedVersionOf(definition)}`,
      shortNames: definition.shortNames,
      categories: definition.categories,
      initialGeneration: definition.statusDefault?.observedGeneration,
      columns: definition.columns.map((column) => column.name),
    }).toEqual({
      kind,
      apiVersion,
      shortNames,
      categories: ['all', 'fluxcd', `fluxcd-${category}`],
      initialGeneration,
      columns,
    });
  });

  test('only Provider and Alert are without status', () => {
    expect(definitions.filter((definition) => !definition.status).map((definition) => definition.kind)).toEqual([
      'Provider',
      'Alert',
    ]);
  });

  test('finalizers are those of the contract', () => {
    expect(kinds.Kustomization.finalizer).toBe('finalizers.fluxcd.io');
    expect(kinds.ArtifactGenerator.finalizer).toBe('source.extensions.fluxcd.io/finalizer');
    expect(kinds.Alert.finalizer).toBeUndefined();
  });

  test('names resource and CRD of a kind', () => {
    expect(crdNameOf(kinds.ImagePolicy)).toBe('imagepolicies.image.toolkit.fluxcd.io');
    expect(resourceOf(kinds.HelmRelease)).toEqual({
      group: 'helm.toolkit.fluxcd.io',
      version: 'v2',
      kind: 'HelmRelease',
      resource: 'helmreleases',
      namespaced: true,
    });
  });

  test('knows all 34 types of providers', () => {
    expect(new Set(providerTypes).size).toBe(34);
  });
});
