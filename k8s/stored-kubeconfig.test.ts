import { describe, expect, test } from 'vitest';
import { maxKubeconfigBytes, reduceKubeconfig } from './stored-kubeconfig.ts';

const strict = { isExecAllowed: false, isInsecureTlsAllowed: false };
const exec = { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: 'aws' } };

function kubeconfig(cluster: object = {}, user: object = { token: 's3cret' }, rest: object = {}): string {
  return JSON.stringify({
    'current-context': 'b',
    contexts: [
      { name: 'a', context: { cluster: 'other', user: 'other' } },
      { name: 'b', context: { cluster: 'c', user: 'u', namespace: 'x' } },
    ],
    clusters: [
      { name: 'other', cluster: { server: 'https://other', 'certificate-authority': '/etc/passwd' } },
      { name: 'c', cluster: { server: 'https://k8s.example:6443', ...cluster } },
    ],
    users: [
      { name: 'other', user: { 'token-file': '/var/run/secrets/token' } },
      { name: 'u', user },
    ],
    ...rest,
  });
}

describe('reduceKubeconfig', () => {
  test('keeps the current context alone, and known fields only', () => {
    const reduced = JSON.parse(reduceKubeconfig(kubeconfig({ 'certificate-authority-data': 'Y2E=', odd: 1 }), strict));
    expect(reduced.clusters).toEqual([
      {
        name: 'stored',
        cluster: { server: 'https://k8s.example:6443', 'certificate-authority-data': 'Y2E=' },
      },
    ]);
    expect(reduced.users).toEqual([{ name: 'stored', user: { token: 's3cret' } }]);
    expect(JSON.stringify(reduced)).not.toContain('other');
  });

  test.each<[string, string, string]>([
    ['an exec plugin', kubeconfig({}, exec), '"exec", a program to be run'],
    ['an auth provider', kubeconfig({}, { 'auth-provider': { name: 'gcp' } }), '"auth-provider"'],
    ['no verification', kubeconfig({ 'insecure-skip-tls-verify': true }), '"insecure-skip-tls-verify"'],
    ['no TLS', kubeconfig({ server: 'http://k8s.example' }), 'without TLS'],
    ['a file with the authority', kubeconfig({ 'certificate-authority': '/etc/shadow' }), 'certificate-authority-data'],
    ['a file with a certificate', kubeconfig({}, { 'client-certificate': '/x' }), '"client-certificate-data"'],
    ['a file with a key', kubeconfig({}, { 'client-key': '/x' }), '"client-key-data"'],
    ['a file with a token', kubeconfig({}, { tokenFile: '/x' }), 'put the content into "token"'],
    ['a file with a token, in the other spelling', kubeconfig({}, { 'token-file': '/x' }), 'into "token"'],
    ['groups to act as', kubeconfig({}, { as: 'a', 'as-groups': ['system:masters'] }), '"as-groups"'],
    ['no server', kubeconfig({ server: '' }), 'no valid server'],
    ['a password in the address', kubeconfig({ server: 'https://a:b@k8s' }), 'no valid server'],
    ['no current context', kubeconfig({}, {}, { 'current-context': '' }), 'no current-context'],
    ['a context that is not there', kubeconfig({}, {}, { 'current-context': 'z' }), 'no entry in "contexts"'],
    ['a user that is not there', kubeconfig({}, {}, { users: [] }), 'no entry in "users"'],
    ['something else than YAML', '{token: s3cret', 'no YAML'],
    ['something else than a mapping', '"s3cret"', 'no YAML mapping'],
    ['too much', `# ${'s3cret'.repeat(maxKubeconfigBytes)}`, 'larger than 256 KiB'],
  ])('refuses %s', (_title, text, expected) => {
    expect(() => reduceKubeconfig(text, strict)).toThrow(expected);
    expect(() => reduceKubeconfig(text, strict)).not.toThrow(/s3cret|shadow|\/x/);
  });

  test.each<[string, string, object]>([
    ['an exec plugin', kubeconfig({}, exec), { isExecAllowed: true }],
    ['no verification', kubeconfig({ 'insecure-skip-tls-verify': true }), { isInsecureTlsAllowed: true }],
    ['no TLS', kubeconfig({ server: 'http://k8s.example' }), { isInsecureTlsAllowed: true }],
  ])('lets %s through where it is allowed', (_title, text, rules) => {
    expect(() => reduceKubeconfig(text, { ...strict, ...rules })).not.toThrow();
  });
});
