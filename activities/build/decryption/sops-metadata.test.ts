import { describe, expect, test } from 'vitest';
import { detectFormat, isIdentityEncrypted, outputFormat, recipientsOf, type SopsFormat } from './sops-metadata.ts';

const mac = 'ENC[AES256_GCM,data:bWFj,iv:aXY=,tag:dGFn,type:str]';
const yaml = `apiVersion: v1
kind: Secret
stringData:
    a: ${mac}
sops:
    age:
        - enc: |
            -----BEGIN AGE ENCRYPTED FILE-----
          recipient: age1one
    pgp:
        - fp: ABCD
          enc: x
    kms:
        - arn: arn:aws:kms:eu-west-1:1:key/2
    gcp_kms:
        - resource_id: projects/p/locations/l/keyRings/r/cryptoKeys/k
    azure_kv:
        - vault_url: https://v.vault.azure.net
          name: key
    hc_vault:
        - vault_address: http://vault:8200
          engine_path: sops
          key_name: one
    hckms:
        - key_id: tr-west-1:abc
    lastmodified: "2026-11-22T19:00:00Z"
    mac: ${mac}
`;
const json = JSON.stringify({ a: mac, sops: { age: [{ recipient: 'age1one' }], lastmodified: 'x', mac } });
const binary = JSON.stringify({ data: mac, sops: { age: [{ recipient: 'age1one' }], lastmodified: 'x', mac } });
const dotenv = `A=${mac}
sops_age__list_0__map_enc=-----BEGIN
sops_age__list_0__map_recipient=age1one
sops_age__list_1__map_enc=-----BEGIN
sops_age__list_1__map_recipient=age1two
sops_hc_vault__list_0__map_enc=x
sops_hc_vault__list_0__map_engine_path=sops
sops_hc_vault__list_0__map_key_name=one
sops_hc_vault__list_0__map_vault_address=http://vault:8200
sops_lastmodified=2026-11-22T19:00:00Z
sops_mac=${mac}
`;
const ini = `[db]
password = ${mac}

[sops]
age__list_0__map_enc       = -----BEGIN
age__list_0__map_recipient = age1one
mac                        = ${mac}
`;
const groups = `a: ${mac}\nsops:\n  shamir_threshold: 2\n  key_groups:\n  - age: [{recipient: age1one}]\n  - pgp: [{fp: ABCD}]\n  mac: ${mac}\n`;

describe('detectFormat', () => {
  test.each<[string, string, string, SopsFormat | undefined]>([
    ['YAML', yaml, 'a.yaml', 'yaml'],
    ['YAML under any name', yaml, 'password', 'yaml'],
    ['YAML of several documents', `a: b\n---\n${yaml}`, 'a', 'yaml'],
    ['JSON', json, 'a.json', 'json'],
    ['JSON under any name', json, 'config', 'json'],
    ['any content in its envelope', binary, 'a.bin', 'binary'],
    ['JSON that looks like an envelope', binary, 'a.json', 'json'],
    ['a registry’s credentials that look like one', binary, '.dockerconfigjson', 'json'],
    ['dotenv', dotenv, 'a', 'dotenv'],
    ['ini', ini, 'a', 'ini'],
    ['a file whose code was cut out', yaml.replace(/^ {4}mac:.*\n/m, ''), 'a.yaml', 'yaml'],
    ['plain text', 'password: hunter2\n', 'a.yaml', undefined],
    ['text about sops', 'use sops: it is good\n', 'a.yaml', undefined],
    ['rules for sops', 'creation_rules:\n- age: age1one\nsops: {}\n', '.sops.yaml', undefined],
    ['JSON that mentions sops', '{"sops": "yes"}', 'a.json', undefined],
    ['broken JSON', '{"sops": {', 'a.json', undefined],
    ['nothing', '', 'a', undefined],
  ])('%s', (_, text, name, expected) => {
    expect(detectFormat(Buffer.from(text), name)).toBe(expected);
  });
});

describe('outputFormat', () => {
  test.each<[SopsFormat, string, SopsFormat]>([
    ['yaml', 'config', 'yaml'],
    ['yaml', 'config.json', 'json'],
    ['json', 'config.yml', 'yaml'],
    ['json', '.dockerconfigjson', 'json'],
    ['dotenv', 'app.env', 'dotenv'],
    ['ini', 'app.ini', 'ini'],
    ['binary', 'config.json', 'binary'],
  ])('%s under the name %s is %s', (input, name, expected) => {
    expect(outputFormat(input, name)).toBe(expected);
  });
});

describe('recipientsOf', () => {
  const names = (text: string, format: SopsFormat): string[] =>
    recipientsOf(Buffer.from(text), format).map(({ kind, name }) => `${kind} ${name}`);

  test('names all kinds of a YAML file', () => {
    expect(names(yaml, 'yaml')).toEqual([
      'age age1one',
      'pgp ABCD',
      'aws arn:aws:kms:eu-west-1:1:key/2',
      'gcp projects/p/locations/l/keyRings/r/cryptoKeys/k',
      'azure https://v.vault.azure.net/key',
      'vault http://vault:8200/sops/one',
      'huawei tr-west-1:abc',
    ]);
  });

  test.each<[SopsFormat, string, string[]]>([
    ['json', json, ['age age1one']],
    ['binary', binary, ['age age1one']],
    ['dotenv', dotenv, ['age age1one', 'age age1two', 'vault http://vault:8200/sops/one']],
    ['ini', ini, ['age age1one']],
    ['yaml', groups, ['age age1one', 'pgp ABCD']],
    ['yaml', 'a: [', []],
    ['json', '{', []],
  ])('reads the recipients of %s', (format, text, expected) => {
    expect(names(text, format)).toEqual(expected);
  });
});

describe('isIdentityEncrypted', () => {
  const sops = { mac };

  test.each<[Record<string, unknown>, boolean]>([
    [{ kind: mac, sops }, true],
    [{ apiVersion: mac, kind: 'Secret', sops }, true],
    [{ apiVersion: 'v1', kind: 'Secret', metadata: { name: mac }, sops }, true],
    [{ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a', labels: { b: mac } }, data: { c: mac }, sops }, false],
    [{ kind: mac }, false],
  ])('%j: %s', (object, expected) => {
    expect(isIdentityEncrypted(object)).toBe(expected);
  });
});
