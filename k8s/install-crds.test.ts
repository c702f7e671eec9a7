import { expect, test } from 'vitest';
import { KubeApiError, type KubeClient } from './client.ts';
import { installCrds, readCrds } from './install-crds.ts';
import type { KubeObject } from './object.ts';

const established = { conditions: [{ type: 'Established', status: 'True' }] };

/** An API server that has nothing but CRDs. `beforeApply` may change the store or throw, as others may at any time. */
function createCrdServer(crds: KubeObject[], beforeApply: (crd: KubeObject, force: boolean) => void = () => undefined) {
  const store = new Map(crds.map((crd) => [crd.metadata.name, crd]));
  let requests = 0;
  const client: Pick<KubeClient, 'list' | 'get' | 'apply'> = {
    async list() {
      requests++;
      return { resourceVersion: '1', items: [...store.values()] };
    },
    async get(ref) {
      requests++;
      return store.get(ref.name);
    },
    async apply(crd, { force = false }) {
      requests++;
      beforeApply(crd, force);
      const stored = { ...crd, status: established };
      store.set(crd.metadata.name, stored);
      return stored;
    },
  };
  return { client: client as KubeClient, store, requests: () => requests };
}

const silent = { info: (): void => undefined };
const wanted = await readCrds();
const bucket = 'buckets.source.toolkit.fluxcd.io';
const image = 'imagepolicies.image.toolkit.fluxcd.io';

/** A CRD as Flux makes it, serving one version. */
function foreignCrd(name: string, version: string): KubeObject {
  const versions = [{ name: version, served: true, storage: true }];
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name, labels: { 'app.kubernetes.io/part-of': 'flux' } },
    spec: { versions },
    status: established,
  };
}

test('creates all CRDs and tells of each', async () => {
  const server = createCrdServer([]);
  const messages: string[] = [];

  const result = await installCrds(server.client, { info: (_fields, message) => messages.push(message) });

  expect(result.created).toEqual(wanted.map((crd) => crd.metadata.name).sort());
  expect(messages).toContain(`CustomResourceDefinition/${bucket} created`);
  expect([...server.store.keys()].sort()).toEqual(result.created);
});

test('costs one request when everything is there', async () => {
  const server = createCrdServer(wanted.map((crd) => ({ ...crd, status: established })));

  await installCrds(server.client, silent);

  expect(server.requests()).toBe(1);
});

test('names all foreign CRDs that do not serve our version, and writes nothing', async () => {
  const server = createCrdServer([foreignCrd(bucket, 'v1beta2'), foreignCrd(image, 'v1beta1')]);

  await expect(installCrds(server.client, silent)).rejects.toThrow(
    /imagepolicies.*does not serve version "v1" \(it serves "v1beta1"\).*; .*buckets.*it serves "v1beta2"/,
  );
  expect([...server.store.keys()]).toEqual([bucket, image]);
});

test('leaves a foreign CRD alone that appears while it installs', async () => {
  const foreign = foreignCrd(bucket, 'v1');
  const server = createCrdServer([], (crd, force) => {
    if (crd.metadata.name !== bucket || force) return;
    server.store.set(bucket, foreign);
    throw new KubeApiError('conflict with "kubectl"', 409, 'Conflict');
  });

  const result = await installCrds(server.client, silent);

  expect(result.kept).toEqual([bucket]);
  expect(server.store.get(bucket)).toBe(foreign);
});

test('gives up on a conflict that does not end', async () => {
  const server = createCrdServer([], (crd) => {
    if (crd.metadata.name === bucket) throw new KubeApiError('conflict with "kubectl"', 409, 'Conflict');
  });

  await expect(installCrds(server.client, silent)).rejects.toThrow('conflict with "kubectl"');
});

test('names the CRDs that are never established', async () => {
  const server = createCrdServer([{ ...foreignCrd(bucket, 'v1'), status: {} }]);

  await expect(installCrds(server.client, silent, { establishTimeoutMs: 0 })).rejects.toThrow(
    `CustomResourceDefinitions ${bucket} are not established after 0 ms`,
  );
});
