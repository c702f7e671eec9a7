// Decryption by the real sops and builds by the real kustomize: the same objects as without encryption.
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createManifestStore } from '../../activities/artifact/manifests.ts';
import { createSealer } from '../../activities/artifact/sealing.ts';
import { buildKustomization, createFindBuilt } from '../../activities/build/build-activities.ts';
import { buildObjects, planBuild } from '../../activities/build/build-manifests.ts';
import type { BuildSpec } from '../../activities/build/build-spec.ts';
import { type DecryptionSettings, loadDecryption } from '../../activities/build/decryption/decryption.ts';
import type { SopsFormat } from '../../activities/build/decryption/sops-metadata.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { createFixture } from './kustomize-fixture.ts';
import { ageKey, decrypt, encrypt, findSops, keyringHome, pgpKey, type TestKey, vaultKey } from './sops-fixture.ts';

type Files = Record<string, string>;

const fixture = createFixture();
const keyrings = keyringHome();
const vault = await vaultKey('hvs.token-of-the-test');
afterAll(async () => {
  fixture.remove();
  keyrings.remove();
  await vault.close();
});

const age = ageKey();
const plainSecret = `apiVersion: v1
kind: Secret
metadata:
    name: credentials
stringData:
    # why it is so
    password: hunter2-%
    empty: ""
    text: |
        two
        lines
`;
const dataOnly = ['--encrypted-regex', '^(data|stringData|spec)$'];

interface Given {
  spec?: BuildSpec & { decryption?: object };
  /** Entries of the Secret that `secretRef` names. */
  entries?: Record<string, string>;
  settings?: DecryptionSettings;
}

const withKey = (key: TestKey): Given => ({ entries: key.entries });

function kustomizationOf({ spec = {} }: Given): KubeObject {
  return {
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    metadata: { name: 'app', namespace: 'apps', generation: 1 },
    spec: { decryption: { provider: 'sops', secretRef: { name: 'keys' } }, ...spec },
  };
}

function dependenciesOf({ entries, settings }: Given) {
  const secret = (name: string, data: Record<string, string>): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: 'apps' },
    data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
  });
  return {
    references: {
      async get(kind: string, namespace: string, name: string): Promise<KubeObject | undefined> {
        const isThere = kind === 'Secret' && `${namespace}/${name}` === 'apps/keys';
        if (isThere && entries) return secret(name, entries);
        return `${namespace}/${name}` === 'flux-system/sops-age' ? secret(name, age.entries) : undefined;
      },
    },
    decryption: { sopsBinary: findSops(), ...settings },
  };
}

async function build(files: Files, given: Given = withKey(age)): Promise<KubeObject[]> {
  const artifact = fixture.artifact(files);
  const { decryption: _, ...spec } = given.spec ?? {};
  const decryption = await loadDecryption(kustomizationOf(given), dependenciesOf(given));
  const others = { decryption: decryption?.digest };
  const plan = planBuild(artifact, spec, fixture.options, others);
  return await buildObjects(artifact, spec, plan, fixture.options, undefined, decryption);
}

const byName = (objects: KubeObject[]): KubeObject[] =>
  [...objects].sort((a, b) => (`${a.kind} ${a.metadata.name}` < `${b.kind} ${b.metadata.name}` ? -1 : 1));

const onlyTop = (resources: string): string => `resources: ${resources}\n`;

describe('an encrypted manifest', () => {
  const keys: [string, TestKey][] = [
    ['age', age],
    ['PGP with elliptic curves', pgpKey('ed25519', keyrings.home)],
    ['PGP with RSA', pgpKey('rsa2048', keyrings.home)],
    ['HashiCorp Vault', vault],
  ];

  test.each(keys)('is decrypted with a key of %s', async (_, key) => {
    const encrypted = await encrypt(plainSecret, 'yaml', [key], dataOnly);

    expect(await build({ 'a.yaml': encrypted }, withKey(key))).toEqual(
      fixture.kustomize({ 'a.yaml': plainSecret, 'kustomization.yaml': onlyTop('[a.yaml]') }, '.'),
    );
  });

  test('is decrypted by any one of its keys', async () => {
    const encrypted = await encrypt(plainSecret, 'yaml', [ageKey(), keys[1]![1], age], dataOnly);

    const [secret] = await build({ 'a.yaml': encrypted });

    expect(secret).toMatchObject({ stringData: { password: 'hunter2-%' } });
    expect(secret).not.toHaveProperty('sops');
  });

  test('is the same after kustomize has changed it as if it had been plain', async () => {
    const settings = `apiVersion: example.org/v1
kind: Settings
metadata: {name: settings}
spec: {number: 7, ratio: 2.5, yes: true, none: null, list: [a, {b: 1}, "7"], date: 2026-11-22, octal: "0755"}
`;
    const both = `${plainSecret}---\n${settings}`;
    const json =
      '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "j"}, "stringData": {"a": "b", "n": "1"}}';
    const plain: Files = {
      'base/kustomization.yaml': onlyTop('[both.yaml, json.json]'),
      'base/both.yaml': both,
      'base/json.json': json,
      'prod/kustomization.yaml': `resources: [../base]
namespace: prod
namePrefix: prod-
labels: [{pairs: {team: blue}}]
patches:
- patch: |-
    [{"op": "add", "path": "/stringData/extra", "value": "plain"}]
  target: {kind: Secret}
`,
    };
    const encrypted = {
      ...plain,
      'base/both.yaml': await encrypt(both, 'yaml', [age], dataOnly),
      'base/json.json': await encrypt(json, 'json', [age], dataOnly),
    };

    const built = await build(encrypted, { ...withKey(age), spec: { path: 'prod' } });

    expect(byName(built)).toEqual(byName(fixture.kustomize(plain, 'prod')));
    expect(fixture.leftovers()).toEqual([]);
  });

  test('stays encrypted where the object says so', async () => {
    const disabled = plainSecret.replace(
      'name: credentials',
      'name: credentials\n    annotations: {kustomize.toolkit.fluxcd.io/decrypt: disabled}',
    );
    const encrypted = await encrypt(disabled, 'yaml', [ageKey()], dataOnly);

    const [secret] = await build({ 'a.yaml': encrypted });

    expect(secret).toMatchObject({ sops: { version: expect.anything() } });
    expect(JSON.stringify(secret)).not.toContain('hunter2');
    expect(await build({ 'a.yaml': encrypted }, { spec: { decryption: undefined } })).toEqual([secret]);
  });

  test('that a Kustomization without decryption would apply as it is, is refused when it is a Secret', async () => {
    const files = { 'a.yaml': await encrypt(plainSecret, 'yaml', [age], dataOnly) };
    const given = { spec: { decryption: undefined } };

    await expect(build(files, given)).rejects.toMatchObject({
      type: 'BuildFailed',
      message:
        'decryption failed: Secret/credentials is encrypted with SOPS: set spec.decryption, with the provider "sops"',
    });
  });

  test('that kustomize fetched over the network is decrypted as well', async () => {
    const encrypted = await encrypt(plainSecret, 'yaml', [age], dataOnly);
    const server = createServer((_, response) => response.end(encrypted));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/secret.yaml`;
    try {
      const files = { 'kustomization.yaml': `resources: [${url}]\nnamespace: prod\n` };

      expect(await build(files)).toMatchObject([
        { metadata: { namespace: 'prod' }, stringData: { password: 'hunter2-%', text: 'two\nlines\n' } },
      ]);
    } finally {
      server.close();
    }
  });
});

const formats: [SopsFormat, string, string][] = [
  ['yaml', 'a.yaml', 'user: admin\nnested:\n    password: hunter2\n'],
  ['json', 'a.json', '{\n\t"user": "admin",\n\t"password": "hunter2"\n}\n'],
  ['dotenv', 'a.env', 'USER=admin\nPASSWORD=hunter2 with "quotes"\n'],
  ['ini', 'a.ini', '[db]\nuser     = admin\npassword = hunter2\n'],
  ['binary', 'a.key', 'hunter2 \u0001\u0002 as it is, öäü\n'],
];

describe('a file that a generator or a patch reads', () => {
  test.each(formats)('is decrypted before the build: %s', async (type, name, text) => {
    const encrypted = await encrypt(text, type, [age]);
    const files = {
      [`secrets/${name}`]: encrypted,
      'secrets/kustomization.yaml': `secretGenerator:
- {name: s, files: [${name}, renamed=${name}], options: {disableNameSuffixHash: true}}
configMapGenerator:
- {name: c, files: [${name}]}
`,
      'kustomization.yaml': onlyTop('[secrets]'),
    };
    const plain = await decrypt(encrypted, type, age);

    const built = await build(files);

    const { data } = built.find(({ kind }) => kind === 'Secret') as { data?: Record<string, string> };
    expect(Buffer.from(data?.[name] ?? '', 'base64')).toEqual(plain);
    expect(data?.['renamed']).toBe(data?.[name]);
    expect(byName(built)).toEqual(byName(fixture.kustomize({ ...files, [`secrets/${name}`]: plain.toString() }, '.')));
    expect(fixture.leftovers()).toEqual([]);
  });

  test('is decrypted for `envs` and patches, also of a component', async () => {
    const env = 'USER=admin\nPASSWORD=hunter2\n';
    const patch = `apiVersion: v1\nkind: ConfigMap\nmetadata:\n    name: settings\ndata:\n    token: hunter2\n`;
    const plain: Files = {
      'kustomization.yaml': `resources: [settings.yaml]
components: [component]
secretGenerator:
- {name: env, envs: [vars]}
`,
      'settings.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: b}\n',
      vars: env,
      'component/kustomization.yaml':
        'apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches: [{path: patch.yaml}]\n',
      'component/patch.yaml': patch,
    };
    const encrypted = {
      ...plain,
      vars: await encrypt(env, 'dotenv', [age]),
      'component/patch.yaml': await encrypt(patch, 'yaml', [age], dataOnly),
    };

    expect(byName(await build(encrypted))).toEqual(byName(fixture.kustomize(plain, '.')));
  });

  test('that kustomize cannot use is not quoted in the message', async () => {
    const text = 'apiVersion: v1\nkind: Secret\nmetadata: {name: correct-horse}\n';
    const kustomization = 'resources: [a.yaml]\npatches: [{path: p.yaml}]\n';
    const files = { 'a.yaml': plainSecret, 'p.yaml': text, 'kustomization.yaml': kustomization };
    expect(() => fixture.kustomize(files, '.')).toThrow('correct-horse');
    files['p.yaml'] = await encrypt(text, 'yaml', [age]);

    const failed = await build(files).catch((error: Error) => error);

    expect(failed).toMatchObject({ type: 'BuildFailed', message: expect.stringContaining('kustomize build failed') });
    expect(JSON.stringify(failed) + String((failed as Error).stack)).not.toMatch(/correct-horse/);
  });
});

describe('the values of a Secret', () => {
  test.each(formats)('are decrypted where they are whole encrypted files: %s', async (type, name, text) => {
    const encrypted = await encrypt(text, type, [age]);
    const plain = (await decrypt(encrypted, type, age)).toString('base64');
    const data = { [name]: Buffer.from(encrypted).toString('base64'), other: 'b3RoZXI=', 'no-base64': '%' };
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 's' },
      data,
      stringData: { t: 'x', [name]: encrypted },
    };

    const files = { 'kustomization.yaml': onlyTop('[s.yaml]'), 's.yaml': JSON.stringify(secret) };

    expect(await build(files)).toEqual([{ ...secret, data: { ...data, [name]: plain }, stringData: { t: 'x' } }]);
  });

  test('take the format that their key asks for', async () => {
    const encrypted = await encrypt('auths: {}\n', 'yaml', [age]);
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 's' },
      stringData: { '.dockerconfigjson': encrypted },
    };

    const [built] = await build({ 's.yaml': JSON.stringify(secret) });

    const { data } = built as { data?: Record<string, string> };
    expect(JSON.parse(Buffer.from(data?.['.dockerconfigjson'] ?? '', 'base64').toString())).toEqual({ auths: {} });
  });

  test('stay as they are in a ConfigMap and where the object says so', async () => {
    const encrypted = await encrypt('a: hunter2\n', 'yaml', [age]);
    const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' }, data: { a: encrypted } };
    const labels = { 'kustomize.toolkit.fluxcd.io/decrypt': 'disabled' };
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', labels }, stringData: { a: encrypted } };

    expect(await build({ 'c.yaml': JSON.stringify(map), 's.yaml': JSON.stringify(secret) })).toEqual([map, secret]);
  });
});

describe('what was tampered with', () => {
  const flip = (text: string): string =>
    text.replace(/(password: ENC\[AES256_GCM,data:)(.)/, (_, start, c) => `${start}${c === 'A' ? 'B' : 'A'}`);
  const named = (file: string, problem: string) => `decryption failed: file "${file}" ${problem}`;

  test.each<[string, (text: string) => string, string]>([
    [
      'a plain field',
      (text) => text.replace('name: credentials', 'name: other'),
      'was changed after it was encrypted (MacMismatch)',
    ],
    ['an added field', (text) => text.replace('stringData:', 'type: Opaque\nstringData:'), 'was changed after'],
    ['an encrypted value', flip, 'has a value that was changed'],
    [
      'a plain value among encrypted ones',
      (text) => text.replace('stringData:', 'stringData:\n    more: hunter3'),
      'has a value that was changed',
    ],
    ['the code itself', (text) => text.replace(/(mac: ENC\[AES256_GCM,data:)../, '$1AA'), 'was changed after'],
  ])('is refused and named: %s', async (_, change, problem) => {
    const encrypted = await encrypt(plainSecret, 'yaml', [age], dataOnly);

    const failed = await build({ 'apps/a.yaml': change(encrypted) }).catch((error: Error) => error);

    expect(failed).toMatchObject({
      type: 'BuildFailed',
      message: expect.stringContaining(named('apps/a.yaml', problem)),
    });
    expect((failed as Error).message).not.toMatch(/hunter|[0-9A-F]{64}/);
  });

  test('is refused without its code', async () => {
    const encrypted = await encrypt(plainSecret, 'yaml', [age], dataOnly);

    await expect(build({ 'a.yaml': encrypted.replace(/^ {4}mac: .*\n/m, '') })).rejects.toMatchObject({
      type: 'BuildFailed',
      message:
        'decryption failed: Secret/credentials has no message authentication code (MacNotFound): encrypt it again',
    });
  });

  test('that is encrypted as a whole is named where kustomize cannot read it', async () => {
    const encrypted = await encrypt(plainSecret, 'yaml', [age]);
    const spec = { targetNamespace: 'apps' };

    await expect(build({ 'a.yaml': encrypted }, { ...withKey(age), spec })).rejects.toMatchObject({
      type: 'BuildFailed',
      message: expect.stringContaining('"a.yaml" has an encrypted apiVersion, kind or name'),
    });
  });

  test('is refused in a copy, also where the original is there too', async () => {
    const encrypted = await encrypt(plainSecret, 'yaml', [age], dataOnly);
    const copy = encrypted.replace('name: credentials', 'name: other');

    await expect(build({ 'a.yaml': encrypted, 'b.yaml': copy })).rejects.toThrow('file "b.yaml" was changed after');
  });

  test('is refused in a file of a generator and in a value of a Secret', async () => {
    const encrypted = flip(await encrypt('password: hunter2\n', 'yaml', [age]));
    const generator = 'secretGenerator: [{name: s, files: [a.yaml]}]\n';
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, stringData: { a: encrypted } };

    await expect(build({ 'a.yaml': encrypted, 'kustomization.yaml': generator })).rejects.toThrow(
      named('a.yaml', 'has a value that was changed'),
    );
    await expect(build({ 's.yaml': JSON.stringify(secret) })).rejects.toThrow(
      'decryption failed: entry "a" in stringData of Secret/s has a value that was changed',
    );
  });

  test('a value that a patch took from another object is refused', async () => {
    const encrypted = await encrypt(plainSecret, 'yaml', [age], dataOnly);
    const [cipher] = /ENC\[[^\]]*\]/.exec(encrypted) ?? [];
    const patch = `[{"op": "add", "path": "/stringData/copy", "value": "${cipher}"}]`;
    const spec = { patches: [{ patch, target: { kind: 'Secret' } }] };

    await expect(build({ 'a.yaml': encrypted }, { ...withKey(age), spec })).rejects.toThrow(
      'Secret/credentials has an encrypted value at "stringData.copy" that is not the one of its file',
    );
  });
});

describe('keys', () => {
  test('that do not fit are named beside those that would', async () => {
    const pgp = pgpKey('rsa2048', keyrings.home);
    const encrypted = await encrypt(plainSecret, 'yaml', [pgp, age], dataOnly);
    const other = ageKey();

    const failed = await build({ 'a.yaml': encrypted }, withKey(other)).catch((error: Error) => error);

    const message =
      'decryption failed: file "a.yaml" cannot be decrypted (CouldNotRetrieveKey): it is encrypted to ' +
      `${age.name}, ${pgp.name}; Secret/apps/keys gives ${other.name}`;
    expect(failed).toMatchObject({ type: 'BuildFailed', message });
    expect(fixture.leftovers()).toEqual([]);
  });

  test('of Vault that are refused are told in its words, without the token', async () => {
    const encrypted = await encrypt(plainSecret, 'yaml', [vault], dataOnly);
    const entries = { 'sops.vault-token': 'permission' };

    const failed = (await build({ 'a.yaml': encrypted }, { entries }).catch((error: Error) => error)) as Error;

    expect(failed.message).toContain(
      `it is encrypted to ${vault.name}; Secret/apps/keys gives HashiCorp Vault token; `,
    );
    expect(failed.message).toContain('*** denied');
    expect(failed.message).not.toContain('permission');
  });

  test('of the installation decrypt where a Kustomization names none', async () => {
    const files = { 'a.yaml': await encrypt(plainSecret, 'yaml', [age], dataOnly) };
    const spec = { decryption: { provider: 'sops' } };
    const settings = { ageSecret: { namespace: 'flux-system', name: 'sops-age' } };

    expect(await build(files, { spec, settings })).toMatchObject([{ stringData: { password: 'hunter2-%' } }]);
    await expect(build(files, { spec })).rejects.toThrow('spec.decryption, without a secretRef, gives no key');
    await expect(build(files, { settings, entries: {} })).rejects.toThrow('Secret/apps/keys gives no key');
  });

  test.each<[string, Given, string, string]>([
    ['are missing', {}, 'BuildFailed', 'Secret/apps/keys, which spec.decryption.secretRef names, does not exist'],
    [
      'are malformed',
      { entries: { 'a.agekey': 'AGE-SECRET-KEY-1' } },
      'BuildFailed',
      'entry "a.agekey" of Secret/apps/keys cannot be used: line 1 is no age private key',
    ],
    [
      'of an account',
      { entries: age.entries, spec: { decryption: { provider: 'sops', serviceAccountName: 'a' } } },
      'FeatureGateDisabled',
      'spec.decryption.serviceAccountName needs the feature gate ObjectLevelWorkloadIdentity',
    ],
    [
      'of another provider',
      { entries: age.entries, spec: { decryption: { provider: 'vault' } } },
      'BuildFailed',
      'provider "vault" is not known, expected "sops"',
    ],
  ])('that %s give one clear failure', async (_, given, type, message) => {
    const files = { 'a.yaml': await encrypt(plainSecret, 'yaml', [age], dataOnly) };

    await expect(build(files, given)).rejects.toMatchObject({ type, message: expect.stringContaining(message) });
  });

  test('go to sops by environment and private files, never by argument, and are gone afterwards', async () => {
    const pgp = pgpKey('ed25519', keyrings.home);
    const record = join(keyrings.home, 'record');
    const script = join(keyrings.home, 'recording-sops');
    writeFileSync(
      script,
      `#!/bin/sh\n{ echo "args $*"; env | cut -d= -f1 | sort | tr '\\n' ' '; echo; pwd; stat -c '%a %n' . * ../.; } >> ${record}\nexec ${findSops()} "$@"\n`,
    );
    chmodSync(script, 0o755);
    const files = {
      'a.yaml': await encrypt(plainSecret, 'yaml', [pgp], dataOnly),
      'b.yaml': await encrypt(plainSecret.replace('credentials', 'b'), 'yaml', [age], dataOnly),
    };

    const built = await build(files, { entries: { ...pgp.entries, ...age.entries }, settings: { sopsBinary: script } });

    expect(built).toHaveLength(2);
    const recorded = readFileSync(record, 'utf8');
    expect(recorded).not.toMatch(/AGE-SECRET|BEGIN PGP/);
    expect(recorded.match(/^args .*$/gm)).toEqual(Array(2).fill('args decrypt --input-type yaml --output-type yaml'));
    expect(recorded.match(/^\d+ .*$/gm)?.sort()).toEqual(
      ['600 secring.gpg', '700 .', '700 .', '700 ../.', '700 ../.'].sort(),
    );
    expect(recorded.match(/SOPS_AGE_KEY/g)).toHaveLength(1);
    for (const directory of recorded.match(/^\/.*$/gm) ?? []) expect(existsSync(directory)).toBe(false);
  });
});

describe('sops', () => {
  test('is not started where nothing is encrypted, and need not be there', async () => {
    const settings = { sopsBinary: '/nowhere/sops' };

    expect(await build({ 'a.yaml': plainSecret }, { ...withKey(age), settings })).toHaveLength(1);
    await expect(
      build({ 'a.yaml': await encrypt(plainSecret, 'yaml', [age], dataOnly) }, { ...withKey(age), settings }),
    ).rejects.toMatchObject({
      type: 'BuildFailed',
      message:
        'decryption failed: file "a.yaml" cannot be decrypted: sops "/nowhere/sops" cannot be run: there is no such ' +
        'program; install sops, or set CONTINUO_SOPS to its path',
    });
  });

  test('is given nothing that is too large', async () => {
    const large = `sops_mac=ENC[\nA=${'x'.repeat(5 * 1024 * 1024)}\n`;
    const files = { large, 'kustomization.yaml': 'secretGenerator: [{name: s, envs: [large]}]\n' };

    await expect(build(files)).rejects.toThrow(/file "large" has 5242881 bytes, over the limit of 5242880 bytes/);
  });
});

describe('a build with decryption', () => {
  async function setup(entries: Record<string, string>) {
    const unpacked = fixture.artifact({ 'a.yaml': await encrypt(plainSecret, 'yaml', [age], dataOnly) });
    const blobs = new Map<string, Uint8Array>();
    const store = {
      readBlob: async (key: string) => blobs.get(key),
      writeBlob: async (key: string, content: Uint8Array) => void blobs.set(key, content),
    };
    const object = kustomizationOf({});
    const deps = (given: Given) => ({
      ...fixture.options,
      ...dependenciesOf(given),
      unpacked: { get: async () => unpacked, peek: () => unpacked },
      manifests: createManifestStore({ store, sealer: createSealer(Buffer.alloc(32, 1)), maxCachedBytes: 1e6 }),
      kustomization: () => object,
    });
    const input = {
      kustomization: { namespace: 'apps', name: 'app' },
      generation: 1,
      artifact: { digest: unpacked.digest, url: 'http://localhost/a.tar.gz', revision: 'main@sha1:1' },
    };
    const first = await buildKustomization(deps({ entries }), input);
    return { blobs, object, unpacked, deps, input, first };
  }

  test('is found again without a run of sops, as long as the keys are the same', async () => {
    const { object, unpacked, deps, input, first } = await setup(age.entries);
    const noSops = { settings: { sopsBinary: '/nowhere/sops' } };
    const same = { entries: { ...age.entries, README: 'about these keys' }, ...noSops };
    const more = { entries: { ...age.entries, 'old.agekey': ageKey().entries['test.agekey'] ?? '' }, ...noSops };

    expect(await createFindBuilt(deps(same))(object, unpacked)).toMatchObject({
      manifestsDigest: first.manifestsDigest,
    });
    expect(await buildKustomization(deps(same), input)).toEqual({ ...first, isCached: true });
    expect(await createFindBuilt(deps(more))(object, unpacked)).toBeUndefined();
    expect(await createFindBuilt(deps(noSops))(object, unpacked)).toBeUndefined();
    await expect(buildKustomization(deps(more), input)).rejects.toThrow('cannot be run');
  });

  test('leaves no plain text in the store, and gives none to Temporal', async () => {
    const { blobs, first } = await setup(age.entries);

    for (const blob of blobs.values()) expect(Buffer.from(blob).includes('hunter2')).toBe(false);
    expect(JSON.stringify(first)).not.toContain('hunter2');
  });
});
