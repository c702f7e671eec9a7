// What charts may hold: hooks, subcharts, lookups, notes, schemas, very much. Each is installed by plain helm as well, and
// both releases are the same.
import { randomBytes } from 'node:crypto';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { conditionOf, connectCluster, eventually } from './harness.ts';
import {
  chart,
  contentOf,
  createReleaseScenario,
  deploymentTemplate,
  releaseStatusOf,
  type ReleaseScenario,
} from './release-scenario.ts';
import { manifest } from './scenario.ts';

let client: KubeClient;

beforeAll(() => {
  client = connectCluster();
});
afterAll(() => client.close());

/** A ConfigMap that is a hook. */
function hook(name: string, events: string, annotations: Record<string, string> = {}): Record<string, string> {
  const metadata = { annotations: { 'helm.sh/hook': events, ...annotations } };
  return {
    [`templates/${name}.yaml`]: manifest('v1', 'ConfigMap', name, { metadata, data: { v: '{{ .Values.v }}' } }),
  };
}

/** A Job that is a hook. */
function jobHook(name: string, events: string, command: string, policy: string): Record<string, string> {
  const annotations = { 'helm.sh/hook': events, 'helm.sh/hook-delete-policy': policy };
  const containers = [{ name: 'main', image: 'example/hook', command: ['sh', '-c', command] }];
  const spec = { backoffLimit: 0, template: { spec: { restartPolicy: 'Never', containers } } };
  return { [`templates/${name}.yaml`]: manifest('batch/v1', 'Job', name, { metadata: { annotations }, spec }) };
}

const hooks = {
  ...hook('before-b', 'pre-install', { 'helm.sh/hook-weight': '5' }),
  ...hook('before-a', 'pre-install', { 'helm.sh/hook-weight': '-5' }),
  ...hook('passing', 'pre-install', { 'helm.sh/hook-delete-policy': 'hook-succeeded' }),
  ...hook('after', 'post-install,post-upgrade', { 'helm.sh/hook-delete-policy': 'before-hook-creation' }),
  ...hook('before-rollback', 'pre-rollback'),
  ...hook('after-rollback', 'post-rollback'),
  ...hook('before-delete', 'pre-delete'),
  ...hook('after-delete', 'post-delete'),
  ...jobHook('works', 'pre-install,pre-upgrade', 'exit 0', 'before-hook-creation'),
};
const failingHook = jobHook('fails', 'post-upgrade', '{{ .Values.ends }}', 'hook-failed');

async function versionOf(scenario: ReleaseScenario, name: string): Promise<number> {
  return Number((await scenario.configMap(name))?.metadata.resourceVersion);
}

/** What plain helm says of the chart in the repository's working tree. */
function plainError({ repository }: ReleaseScenario): Promise<string> {
  const args = ['install', 'app', join(repository.directory, 'charts/app'), '--dry-run=client'];
  const env = { PATH: process.env.PATH, HOME: inject('dataDir'), KUBECONFIG: inject('kubeconfig') };
  return new Promise((resolve) => {
    execFile(join(inject('binDir'), 'helm'), args, { env }, (_error, _stdout, stderr) => {
      resolve(/^Error: (?:INSTALLATION FAILED: )?(.*)$/m.exec(stderr)?.[1] ?? '');
    });
  });
}

describe.concurrent('a chart', { timeout: 120_000 }, () => {
  test('has its hooks run in order and removed by their policies, in every action', async () => {
    const scenario = await createReleaseScenario(client, 'chart-hooks', chart({ ...hooks, ...failingHook }));
    const remediation = { retries: 0, remediateLastFailure: true };
    await scenario.createRelease({ values: { ends: 'exit 0' }, upgrade: { remediation } });
    await scenario.readyIs('True', 'InstallSucceeded', 60_000);

    const twin = await scenario.installTwin({ ends: 'exit 0' });
    const release = await scenario.stored();
    expect(contentOf(release)).toEqual(contentOf(await scenario.stored('app', twin)));
    const names = ['before-a', 'before-b', 'app', 'after'];
    const versions = await Promise.all(names.map((name) => versionOf(scenario, name)));
    expect(versions).toEqual(versions.toSorted((a, b) => a - b));
    expect(await scenario.configMap('passing')).toBeUndefined();
    expect((await scenario.find('batch/v1', 'Job', 'works'))?.status).toMatchObject({ succeeded: 1 });
    expect((await scenario.configMap('after'))?.metadata.labels).toMatchObject({
      'helm.toolkit.fluxcd.io/name': 'app',
    });

    const after = (await scenario.configMap('after'))?.metadata.uid;
    await scenario.change({ values: { v: 'two', ends: 'exit 1' } });
    const object = await scenario.stalled();
    const [first, second, third] = scenario.history();
    expect([first, third]).toEqual(['1 superseded Install complete', '3 deployed Rollback to 1']);
    expect(second).toMatch(/^2 failed Upgrade "app" failed: .*post-upgrade.*/);
    expect(conditionOf(object, 'Released')?.message).toContain('post-upgrade');
    expect(conditionOf(object, 'Remediated')).toMatchObject({ status: 'True', reason: 'RollbackSucceeded' });
    expect(await scenario.find('batch/v1', 'Job', 'fails')).toBeUndefined();
    expect((await scenario.configMap('app'))?.data).toEqual({ v: 'one' });
    expect((await scenario.configMap('after'))?.metadata.uid).not.toBe(after);
    expect((await scenario.configMap('before-rollback'))?.data).toEqual({ v: 'one' });
    expect(await scenario.configMap('after-rollback')).toBeDefined();
    expect(await scenario.configMap('before-delete')).toBeUndefined();

    await scenario.remove();
    expect(await scenario.configMap('app')).toBeUndefined();
    expect(await versionOf(scenario, 'after-delete')).toBeGreaterThan(await versionOf(scenario, 'before-delete'));
  });

  const dependencies = [
    { name: 'common', version: '0.1.0', repository: '' },
    {
      ...{ name: 'web', version: '0.1.0', repository: '', condition: 'web.enabled' },
      'import-values': [{ child: 'exported', parent: 'imported' }],
    },
    { name: 'web', alias: 'admin', version: '0.1.0', repository: '', condition: 'admin.enabled' },
    { name: 'db', version: '0.1.0', repository: '', tags: ['storage'] },
  ];
  const subchart = (name: string, files: Record<string, string>, more = ''): Record<string, string> =>
    Object.fromEntries(
      Object.entries({
        'Chart.yaml': `apiVersion: v2\nname: ${name}\nversion: 0.1.0\n${more}`,
        ...files,
      }).map(([path, text]) => [`charts/${name}/${path}`, text]),
    );
  const subConfig = manifest('v1', 'ConfigMap', '{{ .Release.Name }}-{{ .Chart.Name }}', {
    data: { size: '{{ .Values.size }}', color: '{{ .Values.global.color }}' },
  });
  const everything = {
    'Chart.yaml': JSON.stringify({ apiVersion: 'v2', name: 'app', version: '1.0.0', appVersion: '7', dependencies }),
    'values.yaml': 'v: one\nglobal: {color: red}\nadmin: {enabled: false}\ntags: {storage: false}\n',
    'files/motd.txt': 'hello & <world>\n',
    'templates/NOTES.txt': '{{ .Release.Name }} is in {{ .Release.Namespace }}.\n',
    'templates/all.yaml': `apiVersion: v1
kind: ConfigMap
metadata:
  name: all
  labels: {{- include "common.labels" . | nindent 4 }}
data:
  imported: {{ .Values.imported.port | quote }}
  seed: {{ (lookup "v1" "ConfigMap" .Release.Namespace "seed").data.v | quote }}
  release: "{{ .Release.IsInstall }} {{ .Release.IsUpgrade }} {{ .Release.Revision }} {{ .Release.Service }}"
  has: {{ .Capabilities.APIVersions.Has "apps/v1/Deployment" | quote }}
  kube: {{ .Capabilities.KubeVersion.Version }}
  file: {{ .Files.Get "files/motd.txt" | quote }}
  text: {{ tpl .Values.text . | quote }}
  number: "{{ .Values.number }} {{ .Values.fraction }} {{ .Values.list }}"
  none: "{{ .Values.v | default "unset" }}"
`,
    ...subchart(
      'common',
      { 'templates/_labels.tpl': '{{- define "common.labels" -}}\nchart: {{ .Chart.Name }}\n{{- end -}}\n' },
      'type: library\n',
    ),
    ...subchart('web', { 'values.yaml': 'size: 1\nexported: {port: 80}\n', 'templates/config.yaml': subConfig }),
    ...subchart('db', { 'values.yaml': 'size: 9\n', 'templates/config.yaml': subConfig }),
  };

  test('with subcharts, a library, a lookup, files and notes renders as it does with plain helm', async () => {
    const scenario = await createReleaseScenario(client, 'chart-all', chart(everything));
    const values = {
      ...{ web: { size: 3 }, tags: { storage: true }, text: '{{ .Release.Name }}!', v: null },
      ...{ number: 12_345_678, fraction: 0.1, list: [1, 'two', { three: true }] },
    };
    const seed = (namespace: string) =>
      client.create({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { namespace, name: 'seed' },
        data: { v: 'corn' },
      });
    await seed(scenario.namespace);
    await scenario.createRelease({ values });
    const ready = await scenario.readyIs('True', 'InstallSucceeded', 60_000);
    const twin = await scenario.installTwin(values, seed);
    expect(contentOf(await scenario.stored())).toEqual(contentOf(await scenario.stored('app', twin)));
    expect((await scenario.configMap('all'))?.data).toMatchObject({
      ...{ imported: '80', seed: 'corn', release: 'true false 1 Helm', has: 'true', text: 'app!', none: 'unset' },
    });
    expect((await scenario.configMap('app-db'))?.data).toEqual({ size: '9', color: 'red' });
    expect(scenario.helm('get', 'notes', 'app')).toContain(`app is in ${scenario.namespace}.`);
    expect(releaseStatusOf(ready).history?.[0]).toMatchObject({ chartName: 'app', appVersion: '7' });

    await scenario.change({ values: { web: { enabled: false }, admin: { enabled: true }, tags: { storage: false } } });
    await scenario.fails('UpgradeFailed', 'imported'); // it comes from the subchart that is switched off now
    await scenario.change({ values: { imported: { port: 8080 } } });
    await scenario.readyIs('True', 'UpgradeSucceeded', 60_000);
    expect((await scenario.configMap('all'))?.data).toMatchObject({ imported: '8080', release: 'false true 2 Helm' });
    expect((await scenario.configMap('app-admin'))?.data).toEqual({ size: '1', color: 'red' });
    expect(await scenario.configMap('app-web')).toBeUndefined();
    expect(await scenario.configMap('app-db')).toBeUndefined();
    expect(scenario.history()).toEqual(['1 superseded Install complete', '2 deployed Upgrade complete']);
  });

  test('whose schema the values do not fit says so, unless that is not to be looked at', async () => {
    const schema = { type: 'object', required: ['size'], properties: { size: { type: 'integer' } } };
    const scenario = await createReleaseScenario(
      client,
      'chart-schema',
      chart({ 'values.schema.json': JSON.stringify(schema) }),
    );
    await scenario.createRelease();
    expect(await scenario.fails('InstallFailed', 'size')).toMatch(/values don't meet the specifications of the schema/);
    expect(scenario.helm('list', '--short').trim()).toBe('');
    await scenario.change({ install: { disableSchemaValidation: true } });
    await scenario.readyIs('True', 'InstallSucceeded', 60_000);

    await scenario.change({ values: { size: 'large' } });
    await scenario.fails('UpgradeFailed', 'size');
    await scenario.change({ upgrade: { disableSchemaValidation: true } });
    await scenario.readyIs('True', 'UpgradeSucceeded', 60_000);
    expect(scenario.history()).toEqual(['1 superseded Install complete', '2 deployed Upgrade complete']);
  });

  test('that cannot be installed is told in the words of plain helm, and the next one is', async () => {
    const broken = 'templates/broken.yaml';
    const scenario = await createReleaseScenario(
      client,
      'chart-broken',
      chart({ [broken]: '{{ .Values.v | nope }}\n' }),
    );
    const { namespace } = scenario;
    await scenario.createRelease();
    const told = async (): Promise<void> => {
      const text = await plainError(scenario);
      expect(text).not.toBe('');
      await scenario.fails('InstallFailed', text);
    };
    await told();
    await scenario.push(chart({ [broken]: '{{ fail (printf "no %s today" .Values.v) }}\n' }, '1.0.1'));
    await told();
    await scenario.push(chart({ [broken]: 'a: {b\n' }, '1.0.2'));
    await scenario.fails('InstallFailed', 'YAML');
    await scenario.push({
      ...chart({ [broken]: '' }),
      'charts/app/Chart.yaml': 'apiVersion: v2\nname: app\nversion: 1.0.3\ntype: library\n',
    });
    await told();
    await scenario.push(chart({}, '1.0.4'));
    const ready = await scenario.readyIs('True', 'InstallSucceeded', 60_000);
    expect(scenario.history()).toEqual(['1 deployed Install complete']);
    expect(releaseStatusOf(ready).failures).toBeUndefined();
    const events = await scenario.events(ready);
    const warning = events.find(({ type, reason }) => type === 'Warning' && reason === 'InstallFailed');
    expect(warning?.message).toMatch(new RegExp(`^Helm install failed for release ${namespace}/app with chart app@`));
    expect(warning?.message).toContain('\n\nLast Helm logs:\n\n');
  });

  test('of more than a megabyte is as with plain helm; one that fits in no Secret is told, and harms nothing', async () => {
    // Not to be compressed, so that the stored release comes near the limit of a Secret.
    const scenario = await createReleaseScenario(
      client,
      'chart-big',
      chart({
        'big.txt': randomBytes(290_000).toString('hex'),
        'templates/big.yaml': manifest('v1', 'ConfigMap', 'big', { data: { big: '{{ .Files.Get `big.txt` }}' } }),
        'templates/many.yaml': `{{- range until 20 }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: "many-{{ . }}"}
data: {text: "{{ repeat 3000 "0123456789" }}"}
{{- end }}
{{- if .Values.more }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: more}
data: {more: {{ .Files.Get "big.txt" | b64enc }}}
{{- end }}
`,
      }),
    );
    await scenario.createRelease({ timeout: '60s' });
    await scenario.readyIs('True', 'InstallSucceeded', 90_000);
    const release = await scenario.stored();
    expect(release.manifest?.length).toBeGreaterThan(1_100_000);
    const twin = await scenario.installTwin();
    expect(contentOf(release)).toEqual(contentOf(await scenario.stored('app', twin)));
    const secret = await scenario.find('v1', 'Secret', 'sh.helm.release.v1.app.v1');
    const { release: packed = '' } = (secret?.data ?? {}) as { release?: string };
    expect(packed.length * 0.75).toBeGreaterThan(900_000);

    await scenario.change({ values: { more: true } });
    expect(await scenario.fails('UpgradeFailed', /too long/i)).toContain('1048576');
    expect(await scenario.configMap('more')).toBeUndefined();
    expect(scenario.history()).toEqual(['1 deployed Install complete']);
    await scenario.change({ values: { more: false } });
    await scenario.readyIs('True', 'UpgradeSucceeded', 90_000);
  });

  test('with nothing in it is a release too, and one without tests passes them', async () => {
    const scenario = await createReleaseScenario(client, 'chart-empty', chart({ 'templates/config.yaml': '' }));
    await scenario.createRelease({ test: { enable: true } });
    const ready = await scenario.readyIs('True', 'TestSucceeded', 60_000);
    expect(conditionOf(ready, 'TestSuccess')?.message).toMatch(/: no test hooks$/);
    expect(releaseStatusOf(ready).inventory?.entries).toEqual([]);
    await scenario.push(chart(deploymentTemplate, '1.1.0'));
    await eventually('the Deployment', () => scenario.find('apps/v1', 'Deployment', 'app'));
    await scenario.readyIs('True', 'TestSucceeded', 60_000);
    expect(scenario.history()).toEqual(['1 superseded Install complete', '2 deployed Upgrade complete']);
  });
});
