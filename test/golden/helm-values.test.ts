// Values against the real tools: paths against `helm template --set`, and whole HelmReleases against
// `flux debug helmrelease --show-values`.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { parse } from 'yaml';
import { setAtPath } from '../../activities/helm/set-path.ts';
import { composeValues } from '../../activities/helm/values.ts';
import type { Values } from '../../activities/helm/values-map.ts';
import type { HelmReleaseSpec } from '../../k8s/api/helm-release.ts';
import type { KubeClient } from '../../k8s/client.ts';
import { installCrds } from '../../k8s/install-crds.ts';
import { createKubeClient } from '../../k8s/kube-client.ts';
import { ensureBinaries } from '../../tools/platform/binaries.ts';
import { writeChart } from '../servers/helm-charts.ts';
import { createNamespace } from '../servers/kube-fixture.ts';

let client: KubeClient;
let root: string;
let helm: string;
let flux: string;
let chart: string;

beforeAll(async () => {
  client = createKubeClient({ kubeconfig: inject('kubeconfig') });
  root = mkdtempSync(join(tmpdir(), 'continuo-golden-values-'));
  ({ helm, flux } = await ensureBinaries(['helm', 'flux']));
  chart = await writeChart(join(root, 'show.tgz'), {
    'Chart.yaml': 'apiVersion: v2\nname: show\nversion: 1.0.0\n',
    'templates/show.yaml': 'kind: Show\nvalues: {{ .Values | toJson }}\n',
  });
});
afterAll(async () => {
  await client.close();
  rmSync(root, { recursive: true, force: true });
});

const paths: [path: string, text: string, before: Values][] = [
  ['a.b[1].c', 'x', { a: { d: 1 } }],
  ['a[0][2]', '5', {}],
  ['a\\.b.c', '-3', {}],
  ['a', '{1,x,true,null,0,01}', {}],
  ['a', 'TRUE,b=FALSE,c=Null,d=', {}],
  ['a', '0x10', {}],
  ['a', '1.5', {}],
  ['a', 'x\\,y\\=z\\\\', {}],
  ['a[0].b', 'x', { a: [{ c: 1 }, 2] }],
  ['a.b', 'x=y=[z]', { a: {} }],
  ['a', '99999999999999999999', {}],
];

test.each(paths)('helm --set %s=%s', (path, text, before) => {
  const file = join(root, 'before.json');
  writeFileSync(file, JSON.stringify(before));
  const args = ['template', 'show', chart, '--values', file, '--set', `${path}=${text}`];
  const output = execFileSync(helm, args, { encoding: 'utf8', env: { ...process.env, HOME: root } });
  const values = structuredClone(before);
  setAtPath(values, path, text);
  const shown = (parse(output) as { values: unknown }).values;
  expect(values).toEqual(shown);
});

const configMaps: Record<string, Record<string, string>> = {
  base: { 'values.yaml': 'a: 1\nlist: [1, 2]\nmap: {x: 1, y: yes, z: 0644}\ntext: |\n  one\n  two\n', port: '8080' },
  over: { 'values.yaml': 'list: [3]\nmap: {z: 3}\n', quoted: '"8080"', literal: 'a,{b}=[c]\\d', list: '{a,b}' },
};

const base = { kind: 'ConfigMap', name: 'base' } as const;
const over = { kind: 'ConfigMap', name: 'over' } as const;

const specs: Record<string, Partial<HelmReleaseSpec>> = {
  'merged in order': { valuesFrom: [base, over] },
  'inline over references': { valuesFrom: [over, base], values: { map: { x: 2 }, list: [], added: null } },
  'a path over an inline map': {
    valuesFrom: [{ ...base, valuesKey: 'port', targetPath: 'map.port' }],
    values: { map: { port: 1, z: 1 } },
  },
  'a path under an earlier reference': {
    valuesFrom: [base, { ...base, valuesKey: 'port', targetPath: 'map.port' }],
    values: { map: { port: 1 } },
  },
  'a path at the root under an inline scalar': {
    valuesFrom: [{ ...base, valuesKey: 'port', targetPath: 'port' }],
    values: { port: 1 },
  },
  'quoted, literal and list': {
    valuesFrom: [
      { ...over, valuesKey: 'quoted', targetPath: 'q' },
      { ...over, valuesKey: 'literal', targetPath: 'deep.l\\.x[1]', literal: true },
      { ...over, valuesKey: 'list', targetPath: 'names' },
    ],
  },
  'a Secret, and what is optional': {
    valuesFrom: [
      { kind: 'Secret', name: 'login' },
      { kind: 'Secret', name: 'none', optional: true },
      { ...base, valuesKey: 'none', optional: true },
    ],
  },
};

test('flux debug helmrelease --show-values shows the same', async () => {
  await installCrds(client, { info: () => {} });
  const namespace = await createNamespace(client, 'values');
  const apiVersion = 'v1';
  for (const [name, data] of Object.entries(configMaps)) {
    await client.create({ apiVersion, kind: 'ConfigMap', metadata: { name, namespace }, data });
  }
  const data = { 'values.yaml': Buffer.from('login: {user: admin, password: "123"}\n').toString('base64') };
  await client.create({ apiVersion, kind: 'Secret', metadata: { name: 'login', namespace }, data });
  const references = {
    get: (kind: 'ConfigMap' | 'Secret', inNamespace: string, name: string) =>
      client.get({ group: '', version: 'v1', kind, namespace: inNamespace, name }),
  };
  let count = 0;
  for (const [title, spec] of Object.entries(specs)) {
    count += 1;
    const object = {
      apiVersion: 'helm.toolkit.fluxcd.io/v2',
      kind: 'HelmRelease',
      metadata: { name: `release-${count}`, namespace },
      spec: { interval: '1h', suspend: true, chartRef: { kind: 'OCIRepository' as const, name: 'none' }, ...spec },
    };
    await client.create(object);
    const args = ['debug', 'helmrelease', object.metadata.name, '--show-values', '-n', namespace];
    const env = { ...process.env, KUBECONFIG: inject('kubeconfig') };
    const shown = parse(execFileSync(flux, args, { encoding: 'utf8', env })) as Values;
    expect(await composeValues(object, references), title).toEqual(shown);
  }
});
