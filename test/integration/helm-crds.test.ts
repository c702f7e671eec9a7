// The CRDs of a chart against the real API server, by each policy.
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { ChartArchive } from '../../activities/helm/chart-file-archive.ts';
import { applyChartCrds, chartCrdsOf, type CrdPolicy } from '../../activities/helm/crds.ts';
import type { KubeClient } from '../../k8s/client.ts';
import { createKubeClient } from '../../k8s/kube-client.ts';
import { type Change, type KubeObject, refOf } from '../../k8s/object.ts';
import { customResourceDefinition, uniqueName } from '../servers/kube-fixture.ts';

let client: KubeClient;
const made: KubeObject[] = [];
const labels = { 'helm.toolkit.fluxcd.io/name': 'web', 'helm.toolkit.fluxcd.io/namespace': 'apps' };

beforeAll(() => {
  client = createKubeClient({ kubeconfig: inject('kubeconfig') });
});
afterAll(async () => {
  for (const crd of made) await client.delete(refOf(crd));
  await client.close();
});

function chartWith(crd: KubeObject): { archive: ChartArchive } {
  made.push(crd);
  const archive = { name: 'web', version: '1.0.0', values: {}, dependencies: [], subcharts: [] };
  return { archive: { ...archive, crds: [JSON.stringify(crd)] } };
}

async function apply(crd: KubeObject, policy: CrdPolicy | undefined): Promise<Change[]> {
  const { crds } = chartCrdsOf(chartWith(crd), {});
  return await applyChartCrds(client, crds, { policy, labels, signal: new AbortController().signal });
}

/** The same definition with another short name. */
function renamed(crd: KubeObject): KubeObject {
  const spec = crd.spec as { names: object };
  return { ...crd, spec: { ...spec, names: { ...spec.names, shortNames: ['wd'] } } };
}

test('a new CRD is created, labelled and served when it is applied, and left alone from then on', async () => {
  const crd = customResourceDefinition(`${uniqueName('create')}.example.org`);
  const subject = `CustomResourceDefinition/${crd.metadata.name}`;
  expect(await apply(crd, undefined)).toEqual([{ subject, action: 'created' }]);
  expect((await client.get(refOf(crd)))?.metadata.labels).toMatchObject(labels);
  const group = (crd.spec as { group: string }).group;
  expect(await client.resourceFor(group, 'v1', 'Widget')).toMatchObject({ resource: 'widgets' });
  expect(await apply(renamed(crd), 'Create')).toEqual([]);
  expect((await client.get(refOf(crd)))?.spec).not.toMatchObject({ names: { shortNames: ['wd'] } });
});

test('CreateReplace changes what exists, and tells only what it has changed', async () => {
  const crd = customResourceDefinition(`${uniqueName('replace')}.example.org`);
  const subject = `CustomResourceDefinition/${crd.metadata.name}`;
  expect(await apply(crd, 'CreateReplace')).toEqual([{ subject, action: 'created' }]);
  expect(await apply(crd, 'CreateReplace')).toEqual([]);
  expect(await apply(renamed(crd), 'CreateReplace')).toEqual([{ subject, action: 'configured' }]);
  expect((await client.get(refOf(crd)))?.spec).toMatchObject({ names: { shortNames: ['wd'] } });
});

test('Skip applies none', async () => {
  const crd = customResourceDefinition(`${uniqueName('skip')}.example.org`);
  expect(await apply(crd, 'Skip')).toEqual([]);
  expect(await client.get(refOf(crd))).toBeUndefined();
});

test('a CRD that the server refuses is named', async () => {
  const crd = customResourceDefinition(`${uniqueName('refused')}.example.org`);
  const wrong = { ...crd, spec: { ...(crd.spec as object), scope: 'Everywhere' } };
  await expect(apply(wrong, 'CreateReplace')).rejects.toThrow(
    `CustomResourceDefinition/${crd.metadata.name} of the chart cannot be applied: `,
  );
});
