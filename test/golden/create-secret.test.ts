// `continuo create secret … --export` against `flux create secret … --export` of the same flags: the same object.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parsePrivateKey } from '../../activities/source/git/ssh/private-key.ts';
import { ensureBinaries } from '../../tools/platform/index.ts';
import { type CommandResult, startContinuo } from '../servers/command.ts';
import { testPem } from '../servers/git.ts';
import { generateSshKey, startSshd, type TestSshd } from '../servers/sshd.ts';

interface Secret {
  metadata: object;
  stringData: Record<string, string>;
  type?: string;
}

const directory = mkdtempSync(join(tmpdir(), 'continuo-secret-'));
const file = (name: string): string => join(directory, name);
const plain = generateSshKey('ed25519');
const locked = generateSshKey('ecdsa', '-N', 's3cret');
const policy = {
  version: '1.0',
  trustPolicies: [
    {
      name: 'demo',
      registryScopes: ['*'],
      signatureVerification: { level: 'strict' },
      trustStores: ['ca:demo'],
      trustedIdentities: ['*'],
    },
  ],
};
let flux: string;
let sshd: TestSshd;

beforeAll(async () => {
  ({ flux } = await ensureBinaries(['flux']));
  sshd = await startSshd();
  for (const name of ['ca.crt', 'client.crt', 'client.key'] as const) writeFileSync(file(name), testPem(name));
  writeFileSync(file('policy.json'), JSON.stringify(policy));
  writeFileSync(file('ssh'), plain.privateKey);
  writeFileSync(file('ssh-locked'), locked.privateKey);
  writeFileSync(file('text'), 'hello');
}, 900_000);

afterAll(async () => {
  await sshd.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Flags with `$name` for a file of the directory and `$ssh-url` for the address of the SSH server. */
function flagsOf(flags: string): string[] {
  const filled = flags.replace('$ssh-url', `ssh://git@127.0.0.1:${sshd.port}/org/app`);
  return ['create', 'secret', ...filled.replaceAll('$', `${directory}/`).split(' '), '--export'];
}

function byFlux(flags: string): Secret {
  return parse(execFileSync(flux, flagsOf(flags), { encoding: 'utf8', stdio: 'pipe' })) as Secret;
}

function continuo(flags: string): Promise<CommandResult> {
  return startContinuo(flagsOf(flags), { HOME: directory }).result;
}

async function byContinuo(flags: string): Promise<Secret> {
  const { code, stdout, stderr } = await continuo(flags);
  if (code !== 0) throw new Error(stderr);
  return parse(stdout) as Secret;
}

/** Flux takes the first key that the host shows, Continuo all of them: only the one that Flux has is left. */
function withoutOtherHostKeys(secret: Secret, { stringData }: Secret): Secret {
  const kept = secret.stringData['known_hosts']?.split('\n').filter((line) => line === stringData['known_hosts']);
  return kept ? { ...secret, stringData: { ...secret.stringData, known_hosts: kept.join('\n') } } : secret;
}

const login = '--username=alice --password=s3cret';

describe('a Secret is the same as that of flux', () => {
  test.each([
    ['git over HTTPS with a user', `git app --url=https://git.example/app ${login}`],
    ['git over HTTP with a token', 'git app --url=http://git.example/app --bearer-token=abc'],
    [
      'git with a CA, labels and a namespace',
      `git app --url=https://g.example/a ${login} --ca-crt-file=$ca.crt --label=a=b,c=d -n apps`,
    ],
    ['git over SSH with a key of a file', 'git app --url=$ssh-url --private-key-file=$ssh'],
    [
      'git over SSH with a key and its passphrase',
      'git app --url=$ssh-url --private-key-file=$ssh-locked --password=s3cret',
    ],
    ['oci', `oci app --url=ghcr.io/org ${login}`],
    ['helm with a user', `helm app ${login}`],
    ['helm with a CA', 'helm app --ca-crt-file=$ca.crt'],
    ['helm with a client certificate', 'helm app --tls-crt-file=$client.crt --tls-key-file=$client.key'],
    ['tls with a CA', 'tls app --ca-crt-file=$ca.crt'],
    ['tls with everything', 'tls app --ca-crt-file=$ca.crt --tls-crt-file=$client.crt --tls-key-file=$client.key'],
    ['proxy', `proxy app --address=http://proxy.example:3128 ${login}`],
    ['proxy without a login', 'proxy app --address=https://proxy.example'],
    [
      'githubapp with an installation',
      'githubapp app --app-id=1 --app-installation-id=2 --app-private-key=$client.key',
    ],
    [
      'githubapp with an owner',
      'githubapp app --app-id=1 --app-installation-owner=org --app-private-key=$client.key --app-base-url=https://g.example/api/v3',
    ],
    ['receiver', 'receiver app --type=github --hostname=flux.example.com --token=abc'],
    [
      'receiver of the type gcr',
      'receiver app --type=gcr --hostname=flux.example.com --token=abc --email-claim=a@b.example',
    ],
    ['notation', 'notation app --trust-policy-file=$policy.json --ca-cert-file=$ca.crt,$client.crt'],
  ])('%s', async (_what, flags) => {
    const theirs = byFlux(flags);
    expect(withoutOtherHostKeys(await byContinuo(flags), theirs)).toEqual(theirs);
  });
});

describe('a new key for SSH', () => {
  test.each([
    ['', 'ecdsa-sha2-nistp384'],
    ['--ssh-ecdsa-curve=p256', 'ecdsa-sha2-nistp256'],
    ['--ssh-ecdsa-curve=p521', 'ecdsa-sha2-nistp521'],
    ['--ssh-key-algorithm=ed25519', 'ssh-ed25519'],
    ['--ssh-key-algorithm=rsa --ssh-rsa-bits=1024', 'ssh-rsa'],
  ])('with the flags "%s" is a pair that ssh-keygen knows as %s', async (flags, type) => {
    const { stringData } = await byContinuo(`git app --url=$ssh-url${flags && ` ${flags}`}`);
    const { identity = '', 'identity.pub': line = '', known_hosts: hosts = '' } = stringData;
    expect(line.split(' ')[0]).toBe(type);
    writeFileSync(file('line'), line);
    expect(execFileSync('ssh-keygen', ['-l', '-f', file('line')], { encoding: 'utf8' })).toContain('SHA256:');
    const ofPrivate = parsePrivateKey(identity, undefined).getPublicSSH().toString('base64');
    expect(line.trim().split(' ')[1]).toBe(ofPrivate);
    expect(hosts.split('\n').sort()).toEqual(sshd.knownHosts().trim().split('\n').sort());
  });
});

describe('flags that make no sense are refused', () => {
  test.each<[string, RegExp, number?]>([
    ['git app --url=$ssh-url --private-key-file=$text', /--private-key-file cannot be used: it is no private key/],
    ['git app --url=$ssh-url --private-key-file=$ssh-locked', /--private-key-file is encrypted: give its passphrase/],
    ['git app --url=$ssh-url --ssh-rsa-bits=1000', /expected a multiple of 8 from 1024/],
    ['git app --url=ssh://git@127.0.0.1:1/a', /host keys of "127\.0\.0\.1:1" cannot be read: connect ECONNREFUSED/, 1],
    ['tls app --ca-crt-file=$none', /--ca-crt-file ".*none" cannot be read \(ENOENT\)/],
    [
      'notation app --trust-policy-file=$text --ca-cert-file=$ca.crt',
      /--trust-policy-file is not valid: it is no JSON/,
    ],
    ['receiver app --type=other --hostname=h.example', /Allowed choices are generic/],
    [`proxy App --address=http://proxy.example`, /invalid name of a Secret/],
  ])('%s', async (flags, message, exitCode = 2) => {
    const { code, stdout, stderr } = await continuo(flags);
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
    expect(code).toBe(exitCode);
    expect(stderr).not.toMatch(/s3cret|MII|b3BlbnNza/);
  });
});

test('a Helm Secret keeps the login beside certificates, where flux drops it', async () => {
  const flags = `helm app ${login} --tls-crt-file=$client.crt --tls-key-file=$client.key`;
  expect(await byContinuo(flags)).toMatchObject({
    type: 'kubernetes.io/tls',
    stringData: { username: 'alice', password: 's3cret', 'tls.crt': testPem('client.crt') },
  });
});

test('a pull secret names the registry without a scheme, with which nothing would find it', async () => {
  const { stringData } = await byContinuo(`oci app --url=oci://ghcr.io/org ${login}`);
  expect(Object.keys(JSON.parse(stringData['.dockerconfigjson'] ?? '').auths)).toEqual(['ghcr.io/org']);
});
