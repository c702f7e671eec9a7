// The generated CRDs on a real API server: what it accepts, fills in and refuses is the contract (section 1).
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { definitions, type Kind, kinds } from '../../k8s/api/index.ts';
import { resourceOf } from '../../k8s/api/definition.ts';
import type { KubeClient } from '../../k8s/client.ts';
import { installCrds, readCrds } from '../../k8s/install-crds.ts';
import { createKubeClient } from '../../k8s/kube-client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { type InvalidManifest, invalidManifests } from './crds/invalid.ts';

interface MinimalManifest {
  apiVersion: string;
  kind: Kind;
  spec: Record<string, unknown>;
  expected: Record<string, unknown>;
}

const namespace = 'crds-test';
const fixture = (name: string): Promise<string> => readFile(join(import.meta.dirname, 'crds', name), 'utf8');
const maximalManifests = parseAllDocuments(await fixture('maximal.yaml')).map(
  (document) => document.toJS() as KubeObject,
);
const minimalManifests = parse(await fixture('minimal.yaml')) as MinimalManifest[];
const silent = { info: (): void => undefined };

let client: KubeClient;

beforeAll(async () => {
  client = createKubeClient({ kubeconfig: inject('kubeconfig') });
  await Promise.all([installCrds(client, silent), installCrds(client, silent)]);
  await client.apply(
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    { fieldManager: 'test', force: true },
  );
}, 60_000);

afterAll(() => client?.close());

/** What the API server would store; nothing is kept. */
async function tryOut(manifest: { apiVersion: string; kind: string; spec?: unknown }): Promise<KubeObject> {
  const object = { ...manifest, metadata: { name: 'tried', namespace } };
  return client.apply(object, { fieldManager: 'test', dryRun: true });
}

describe('what is accepted', () => {
  test('the fixtures have a manifest of every kind', () => {
    const all = definitions.map((definition) => definition.kind);
    expect(maximalManifests.map((manifest) => manifest.kind)).toEqual(all);
    expect([...new Set(minimalManifests.map((manifest) => manifest.kind))]).toEqual(all);
  });

  test.each(maximalManifests)(
    '$kind with every field: nothing is dropped or changed',
    async ({ apiVersion, kind, spec }) => {
      const stored = await tryOut({ apiVersion, kind, spec });

      expect(stored.spec).toEqual(spec);
    },
  );

  test.each(maximalManifests)('the manifest of $kind uses every field of the spec', ({ kind, spec }) => {
    const unused = Object.keys(kinds[kind as Kind].spec.shape).filter((field) => !Object.hasOwn(spec as object, field));

    // These exclude others that are set.
    const exclusive: Partial<Record<string, string[]>> = {
      Bucket: ['serviceAccountName'],
      HelmRelease: ['chartRef'],
      Receiver: ['secretRef'],
    };
    expect(unused).toEqual(exclusive[kind] ?? []);
  });

  test.each(minimalManifests)('$apiVersion $kind with the least: defaults are filled in', async (manifest) => {
    const { apiVersion, kind, spec, expected } = manifest;
    const stored = await tryOut({ apiVersion, kind, spec });

    expect(stored.spec).toEqual(expected);
    expect(stored.status).toEqual(kinds[kind].statusDefault);
  });

  test('an object that is its status needs no spec', async () => {
    const stored = await tryOut({ apiVersion: 'source.toolkit.fluxcd.io/v1', kind: 'ExternalArtifact' });

    expect(stored.spec).toBeUndefined();
  });

  test('a status with conditions, artifact, inventory and history is stored as it is', async () => {
    const ref = {
      group: 'kustomize.toolkit.fluxcd.io',
      version: 'v1',
      kind: 'Kustomization',
      namespace,
      name: 'status',
    };
    const spec = minimalManifests.find((manifest) => manifest.kind === 'Kustomization')?.spec;
    const metadata = { name: ref.name, namespace };
    await client.apply(
      { apiVersion: 'kustomize.toolkit.fluxcd.io/v1', kind: 'Kustomization', metadata, spec },
      { fieldManager: 'test', force: true },
    );
    const time = '2026-01-02T03:04:05Z';
    const status = {
      observedGeneration: 1,
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'ReconciliationSucceeded',
          message: '',
          lastTransitionTime: time,
          observedGeneration: 1,
        },
      ],
      lastAppliedRevision: 'main@sha1:363a6a8fe6a7f13e05d34c163b0ef02a777da20a',
      lastAttemptedRevision: 'main@sha1:363a6a8fe6a7f13e05d34c163b0ef02a777da20a',
      lastAppliedOriginRevision: 'sha1:363a6a8fe6a7f13e05d34c163b0ef02a777da20a',
      lastHandledReconcileAt: 'now',
      inventory: { entries: [{ id: '_apps__Namespace', v: 'v1' }] },
      history: [
        {
          digest: 'sha256:00',
          firstReconciled: time,
          lastReconciled: time,
          lastReconciledDuration: '1.2s',
          lastReconciledStatus: 'ReconciliationSucceeded',
          totalReconciliations: 9007199254740991,
          metadata: { revision: 'main' },
        },
      ],
    };

    const stored = await client.patch(ref, { status }, { type: 'merge', subresource: 'status' });

    expect(stored.status).toEqual(status);
    const reason = { status: { conditions: [{ ...status.conditions[0], reason: 'not one word' }] } };
    await expect(client.patch(ref, reason, { type: 'merge', subresource: 'status' })).rejects.toThrow(
      'status.conditions[0].reason',
    );
    await client.delete(ref);
  });
});

describe('what is refused', () => {
  test.each(invalidManifests)('$kind: $title', async ({ kind, change, names }: InvalidManifest) => {
    const minimal = minimalManifests.find((manifest) => manifest.kind === kind);
    const spec = merge(minimal?.spec ?? {}, change);

    await expect(tryOut({ apiVersion: minimal?.apiVersion ?? '', kind, spec })).rejects.toThrow(names);
  });
});

describe('installCrds', () => {
  test('changes nothing when everything is there', async () => {
    const before = await crdVersions();

    const result = await installCrds(client, silent);

    expect(result).toEqual({ created: [], updated: [], kept: [...before.keys()].sort() });
    expect(await crdVersions()).toEqual(before);
  });

  test('brings an older one of ours up to date', async () => {
    const crd = await crdOf('Alert');
    const annotations = { 'continuo.dev/crd-version': '0.0.1' };
    await client.patch(refOf(crd), { metadata: { annotations } }, { type: 'merge' });

    await installCrds(client, silent);

    expect((await crdOf('Alert')).metadata.annotations).toEqual(crd.metadata.annotations);
  });

  test('leaves one alone that is not ours', async () => {
    const crd = await crdOf('Provider');
    const without = { 'continuo.dev/crd-version': null, 'continuo.dev/crd-digest': null, 'example.com/owner': 'flux' };
    const foreign = await client.patch(refOf(crd), { metadata: { annotations: without } }, { type: 'merge' });

    const result = await installCrds(client, silent);

    expect(result.kept).toContain(crd.metadata.name);
    expect((await crdOf('Provider')).metadata.resourceVersion).toBe(foreign.metadata.resourceVersion);
    const annotations = { ...crd.metadata.annotations, 'example.com/owner': null };
    await client.patch(refOf(crd), { metadata: { annotations } }, { type: 'merge' });
  });

  test('every kind can be listed in every version once it returns', async () => {
    for (const definition of definitions) {
      for (const version of definition.versions) {
        await expect(client.list({ ...resourceOf(definition), version: version.name })).resolves.toBeDefined();
      }
    }
  });
});

async function crdOf(kind: Kind): Promise<KubeObject> {
  const wanted = (await readCrds()).find((crd) => (crd.spec as { names: { kind: string } }).names.kind === kind);
  const crd = wanted && (await client.get(refOf(wanted)));
  if (!crd) throw new Error(`the CRD of ${kind} is not installed`);
  return crd;
}

async function crdVersions(): Promise<Map<string, string | undefined>> {
  const crds = await Promise.all((await readCrds()).map((crd) => client.get(refOf(crd))));
  return new Map(crds.map((crd) => [crd?.metadata.name ?? '', crd?.metadata.resourceVersion]));
}

/** A JSON merge patch: null removes a field, lists are replaced. */
function merge(target: Record<string, unknown>, change: Record<string, unknown>): Record<string, unknown> {
  const result = { ...target };
  for (const [key, value] of Object.entries(change)) {
    if (value === null) delete result[key];
    else if (isObject(value)) result[key] = merge(isObject(result[key]) ? result[key] : {}, value);
    else result[key] = value;
  }
  return result;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
