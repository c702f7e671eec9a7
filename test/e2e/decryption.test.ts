// Secrets from Git to the cluster: decrypted on the way, and in plain text nowhere else.
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { refOf } from '../../k8s/object.ts';
import { ageKey, encrypt, type TestKey } from '../golden/sops-fixture.ts';
import { configMap, connectCluster, eventually, statusOf } from './harness.ts';
import { createScenario, inventoryOf, type Scenario } from './scenario.ts';

let client: KubeClient;
beforeAll(() => {
  client = connectCluster();
});
afterAll(() => client.close());

const dataOnly = ['--encrypted-regex', '^(data|stringData)$'];

/** Texts that are found nowhere by chance. */
function secretTexts() {
  const text = (name: string): string => `${name}-${randomBytes(8).toString('hex')}`;
  return { manifest: text('manifest'), dotenv: text('dotenv'), patch: text('patch'), value: text('value') };
}

/** A kustomization with everything that can be encrypted. */
async function encryptedFiles(texts: ReturnType<typeof secretTexts>, key: TestKey): Promise<Record<string, string>> {
  const secret = `apiVersion: v1\nkind: Secret\nmetadata:\n  name: one\nstringData:\n  password: ${texts.manifest}\n`;
  const patch = `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  token: ${texts.patch}\n`;
  const inner = await encrypt(`password: ${texts.value}\n`, 'yaml', [key]);
  return {
    'app/kustomization.yaml': `resources: [secret.yaml, settings.yaml, inner.yaml]
patches: [{path: patch.yaml}]
secretGenerator: [{name: generated, envs: [vars.env], options: {disableNameSuffixHash: true}}]
`,
    'app/secret.yaml': await encrypt(secret, 'yaml', [key], dataOnly),
    'app/settings.yaml': configMap('settings', { a: 'b' }),
    'app/inner.yaml': JSON.stringify({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'inner' },
      stringData: { 'inner.yaml': inner },
    }),
    'app/patch.yaml': await encrypt(patch, 'yaml', [key], dataOnly),
    'app/vars.env': await encrypt(`PASSWORD=${texts.dotenv}\n`, 'dotenv', [key]),
  };
}

function keySecret({ namespace }: Scenario, key: TestKey): KubeObject {
  const metadata = { name: 'sops-age', namespace, labels: { 'reconcile.fluxcd.io/watch': 'Enabled' } };
  return { apiVersion: 'v1', kind: 'Secret', metadata, stringData: key.entries };
}

/** A scenario with a Kustomization that decrypts with this key and tries again every second. */
async function start(prefix: string, files: Record<string, string>, key: TestKey) {
  const scenario = await createScenario(client, prefix, {});
  const first = scenario.commit(files);
  await client.create(keySecret(scenario, key));
  await scenario.createSource();
  const decryption = { provider: 'sops', secretRef: { name: 'sops-age' } };
  await scenario.createKustomization({ path: 'app', retryInterval: '1s', decryption });
  return { scenario, first };
}

async function valueOf(scenario: Scenario, name: string, key: string): Promise<string> {
  const secret = await scenario.find('v1', 'Secret', name);
  const { [key]: value = '' } = (secret?.data ?? {}) as Record<string, string>;
  return Buffer.from(value, 'base64').toString('utf8');
}

test('encrypted manifests, generator files, patches and values are plain in the cluster and nowhere else', async () => {
  const texts = secretTexts();
  const key = ageKey();
  const { scenario, first } = await start('decrypt', await encryptedFiles(texts, key), key);

  const applied = await scenario.applied(first);

  const { namespace } = scenario;
  expect(inventoryOf(applied)).toEqual(
    ['generated__Secret', 'inner__Secret', 'one__Secret', 'settings__ConfigMap'].map((id) => `${namespace}_${id} v1`),
  );
  expect(await valueOf(scenario, 'one', 'password')).toBe(texts.manifest);
  expect(await valueOf(scenario, 'generated', 'PASSWORD')).toBe(texts.dotenv);
  expect(await valueOf(scenario, 'inner', 'inner.yaml')).toBe(`password: ${texts.value}\n`);
  expect((await scenario.configMap('settings'))?.data).toEqual({ a: 'b', token: texts.patch });
  expect(await scenario.find('v1', 'Secret', 'one')).not.toHaveProperty('sops');

  // A commit that changes nothing of it is no build, another password is one.
  const second = await scenario.push({ 'README.md': 'changed' });
  expect(statusOf(await scenario.applied(second)).history).toHaveLength(1);
  const others = secretTexts();
  const third = await scenario.push({
    'app/secret.yaml': (await encryptedFiles(others, key))['app/secret.yaml'] ?? '',
  });
  await scenario.applied(third);
  expect(await valueOf(scenario, 'one', 'password')).toBe(others.manifest);

  const needles = [...Object.values(texts), others.manifest];
  const encoded = needles.map((text) => Buffer.from(text).toString('base64'));
  const forbidden = [...needles, ...encoded];
  const events = await scenario.events(applied);
  expect(forbidden.filter((text) => JSON.stringify(events).includes(text))).toEqual([]);
  expect(await foundInHistories(scenario, forbidden)).toEqual([]);
  const files = foundInFiles(inject('dataDir'), forbidden);
  // etcd keeps what is in the cluster, which shows that the search finds what is there.
  expect(files.filter((path) => !path.startsWith('etcd'))).toEqual([]);
  expect(files).not.toEqual([]);
  // What other tests build at the same moment has its own.
  const directories = (): string[] => readdirSync(join(inject('dataDir'), 'worker', 'build'));
  await eventually('no directory of sops is left', () => !directories().some((name) => name.startsWith('sops')));
});

test('a file that was tampered with is named, changes nothing, and heals with the next commit', async () => {
  const texts = secretTexts();
  const key = ageKey();
  const files = await encryptedFiles(texts, key);
  const { scenario, first } = await start('tampered', files, key);
  await scenario.applied(first);
  const before = await scenario.find('v1', 'Secret', 'one');

  const tampered = (files['app/secret.yaml'] ?? '').replace('kind: Secret', 'kind: Secret\ntype: Opaque');
  await scenario.push({ 'app/secret.yaml': tampered, 'app/settings.yaml': configMap('settings', { a: 'c' }) });
  expect(await scenario.refused('BuildFailed')).toBe(
    'decryption failed: file "app/secret.yaml" was changed after it was encrypted (MacMismatch): restore it, or edit it ' +
      'with "sops" only',
  );
  expect(await scenario.find('v1', 'Secret', 'one')).toEqual(before);
  expect((await scenario.configMap('settings'))?.data).toMatchObject({ a: 'b' });

  const mended = await scenario.push({ 'app/secret.yaml': files['app/secret.yaml'] ?? '' });
  await scenario.applied(mended);
  expect((await scenario.configMap('settings'))?.data).toMatchObject({ a: 'c' });
});

test('a key that does not fit is told beside the one that would, and the right one heals without a commit', async () => {
  const right = ageKey();
  const wrong = ageKey();
  const { scenario, first } = await start('wrongkey', await encryptedFiles(secretTexts(), right), wrong);

  const message = await scenario.refused('BuildFailed');

  expect(message).toContain(
    `it is encrypted to ${right.name}; Secret/${scenario.namespace}/sops-age gives ${wrong.name}`,
  );
  expect(message).not.toContain('AGE-SECRET-KEY');
  const secret = keySecret(scenario, right);
  await client.patch(refOf(secret), { stringData: right.entries }, { type: 'merge' });
  await scenario.applied(first);

  await client.delete(refOf(secret));
  await scenario.push({ 'app/settings.yaml': configMap('settings', { a: 'c' }) });
  expect(await scenario.refused('BuildFailed')).toBe(
    `decryption failed: Secret/${scenario.namespace}/sops-age, which spec.decryption.secretRef names, does not exist: ` +
      'create it with the keys',
  );
  await client.create(secret);
  await scenario.applied(statusOf(await scenario.source()).artifact?.revision ?? '');
});

test('a Kustomization that asks for an account to decrypt with is refused for good', async () => {
  const key = ageKey();
  const { scenario } = await start('account', await encryptedFiles(secretTexts(), key), key);
  const decryption = { provider: 'sops', serviceAccountName: 'decryptor' };

  await scenario.patch(await scenario.kustomization(), { spec: { decryption: { ...decryption, secretRef: null } } });

  expect(await scenario.refused('FeatureGateDisabled')).toContain('spec.decryption.serviceAccountName needs');
  const stalled = statusOf(await scenario.kustomization()).conditions?.find(({ type }) => type === 'Stalled');
  expect(stalled).toMatchObject({ status: 'True', reason: 'FeatureGateDisabled' });
});

/** Paths below a directory, relative to it, of files with one of the texts in them, compressed or not. */
function foundInFiles(root: string, texts: readonly string[]): string[] {
  return filesBelow(root)
    .filter((path) => contentsOf(path).some((bytes) => texts.some((text) => bytes.includes(text))))
    .map((path) => path.slice(root.length + 1));
}

/** Others write below the same directory: what goes meanwhile is passed over. */
function filesBelow(directory: string): string[] {
  const entries = unlessGone(() => readdirSync(directory, { withFileTypes: true })) ?? [];
  return entries.flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return filesBelow(path);
    return entry.isFile() ? [path] : [];
  });
}

/** A file, and what is in it when it is a whole archive. */
function contentsOf(path: string): Buffer[] {
  const content = unlessGone(() => readFileSync(path));
  if (!content) return [];
  if (content[0] !== 0x1f || content[1] !== 0x8b) return [content];
  try {
    return [content, gunzipSync(content)];
  } catch {
    return [content]; // it is being written
  }
}

function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Those of the texts that are in a history of the scenario's workflows, payloads decoded. */
async function foundInHistories({ namespace }: Scenario, texts: readonly string[]): Promise<string[]> {
  const connection = await Connection.connect({ address: inject('temporalAddress') });
  try {
    const { workflow } = new Client({ connection });
    const histories: string[] = [];
    for await (const { workflowId, runId } of workflow.list()) {
      if (!workflowId.includes(`/${namespace}/`)) continue;
      const history = await workflow.getHandle(workflowId, runId).fetchHistory();
      // Payloads are bytes, which are base64 in JSON.
      histories.push(
        JSON.stringify(history, (key, value: unknown) =>
          key === 'data' && typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : value,
        ),
      );
    }
    expect(histories.length).toBeGreaterThan(2);
    expect(histories.some((history) => history.includes('manifestsDigest'))).toBe(true);
    return texts.filter((text) => histories.some((history) => history.includes(text)));
  } finally {
    await connection.close();
  }
}
