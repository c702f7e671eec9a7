import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { EncryptedContent } from '../activities/build/decryption/sops-session.ts';
import { createSecretValues } from './secret-values.ts';
import { noting, withoutKeys } from './shown-decryption.ts';

const encrypted = 'ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]';
const yaml = `kind: Secret\nstringData:\n  plain: a\n  token: ${encrypted}\nsops:\n  mac: ${encrypted}\n`;

function content(text: string, format: EncryptedContent['input'], output = format): EncryptedContent {
  return { content: Buffer.from(text), input: format, output, subject: 'file "a"' };
}

async function shown(part: EncryptedContent): Promise<string> {
  return Buffer.from(await withoutKeys().open('/nowhere').decrypt(part)).toString();
}

describe('without keys', () => {
  it('each encrypted value says so, and the block of sops is gone', async () => {
    const expected = { kind: 'Secret', stringData: { plain: 'a', token: '<encrypted>' } };
    expect(parse(await shown(content(yaml, 'yaml')))).toEqual(expected);
    expect(JSON.parse(await shown(content(JSON.stringify(parse(yaml)), 'json')))).toEqual(expected);
  });

  it.each([
    ['dotenv', `TOKEN=${encrypted}\nsops_mac=${encrypted}\n`, 'TOKEN=<encrypted>'],
    ['ini', `[main]\ntoken = ${encrypted}\n[sops]\nmac = ${encrypted}\n`, '[main]\ntoken = <encrypted>'],
    ['binary', `{"data":"${encrypted}","sops":{}}`, '<encrypted>'],
  ] as const)('the same holds for %s', async (format, text, expected) => {
    expect((await shown(content(text, format))).trim()).toBe(expected);
  });
});

describe('with keys', () => {
  it.each([
    ['yaml', yaml, 'kind: Secret\nstringData:\n  plain: a\n  token: hunter2\n'],
    ['json', JSON.stringify(parse(yaml)), '{"kind":"Secret","stringData":{"plain":"a","token":"hunter2"}}'],
    ['dotenv', `TOKEN=${encrypted}`, 'TOKEN=hunter2\n'],
    ['binary', '{}', 'hunter2\n'],
  ] as const)('what is decrypted of %s is known as secret, and nothing else', async (format, text, plain) => {
    const secrets = createSecretValues();
    const session = { decrypt: async () => Buffer.from(plain), close: async () => undefined };
    const decryption = noting({ digest: '', open: () => session }, secrets);
    const part = content(text, format);
    expect(Buffer.from(await decryption.open('/nowhere').decrypt(part)).toString()).toBe(plain);
    expect(secrets.isIn('x hunter2 y')).toBe(true);
    expect(secrets.isIn('Secret plain TOKEN')).toBe(false);
  });
});
