import { describe, expect, it } from 'vitest';
import { codeCommitLogin, codeCommitRegionOf } from './aws-code-commit.ts';
import { awsRegistryOf, passwordIn } from './aws-registry.ts';
import { awsEndpoint } from './aws-service.ts';
import { azureRegistryResourceOf } from './azure-registry.ts';

describe('a host of Amazon', () => {
  it.each([
    ['123456789012.dkr.ecr.eu-west-1.amazonaws.com', { region: 'eu-west-1', isPublic: false, isFips: false }],
    [
      '123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com',
      { region: 'us-gov-west-1', isPublic: false, isFips: true },
    ],
    ['123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn', { region: 'cn-north-1', isPublic: false, isFips: false }],
    ['123456789012.dkr-ecr.eu-west-1.on.aws', { region: 'eu-west-1', isPublic: false, isFips: false }],
    ['public.ecr.aws', { region: 'us-east-1', isPublic: true, isFips: false }],
    ['123456789012.dkr.ecr.eu-west-1.amazonaws.com.example.org', undefined],
    ['x.123456789012.dkr.ecr.eu-west-1.amazonaws.com', undefined],
    ['123456789012.dkr.ecr.eu-west-1.amazonaws.com:5000', undefined],
    ['ghcr.io', undefined],
  ])('is a registry or not: %s', (host, registry) => {
    expect(awsRegistryOf(host)).toEqual(registry);
  });

  it.each([
    ['git-codecommit.eu-west-1.amazonaws.com', 'eu-west-1'],
    ['git-codecommit-fips.us-east-1.amazonaws.com', 'us-east-1'],
    ['git-codecommit.cn-north-1.amazonaws.com.cn', 'cn-north-1'],
    ['vpce-1.git-codecommit.eu-west-1.vpce.amazonaws.com', 'eu-west-1'],
    ['git-codecommit.eu-west-1.amazonaws.com.example.org', undefined],
    ['github.com', undefined],
  ])('has repositories or not: %s', (host, region) => {
    expect(codeCommitRegionOf(host)).toBe(region);
  });

  it('is chosen by the environment, else by region and partition', () => {
    const of = (env: Record<string, string>, region = 'eu-west-1') => awsEndpoint('STS', `sts.${region}`, region, env);
    expect(of({})).toBe('https://sts.eu-west-1.amazonaws.com');
    expect(of({}, 'cn-north-1')).toBe('https://sts.cn-north-1.amazonaws.com.cn');
    expect(of({ AWS_ENDPOINT_URL: 'http://all/' })).toBe('http://all');
    expect(of({ AWS_ENDPOINT_URL: 'http://all', AWS_ENDPOINT_URL_STS: 'http://sts' })).toBe('http://sts');
    expect(of({ AWS_ENDPOINT_URL: 'http://all', AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: 'true' })).toBe(
      'https://sts.eu-west-1.amazonaws.com',
    );
  });
});

it('the password for CodeCommit begins with its time, and the user ends with the session', () => {
  const url = 'https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/web';
  const keys = { accessKeyId: 'AKIA', secretAccessKey: 'secret' };
  const madeMs = Date.parse('2026-11-23T01:02:03.456Z');
  const { username, password } = codeCommitLogin(url, 'eu-west-1', keys, madeMs);
  expect(username).toBe('AKIA');
  expect(password).toMatch(/^20261123T010203Z[0-9a-f]{64}$/);
  expect(codeCommitLogin(url, 'eu-west-1', { ...keys, sessionToken: 'a/b' }, madeMs).username).toBe('AKIA%a/b');
});

it.each([
  ['team.azurecr.io', 'https://management.azure.com'],
  ['team.privatelink.azurecr.io', 'https://management.azure.com'],
  ['team.azurecr.cn', 'https://management.chinacloudapi.cn'],
  ['team.azurecr.us', 'https://management.usgovcloudapi.net'],
  ['team.azurecr.io.example.org', undefined],
  ['azurecr.io', undefined],
])('a token for the registry %s is one for %s', (host, resource) => {
  expect(azureRegistryResourceOf(host)).toBe(resource);
});

describe('the answer of a registry service', () => {
  const authorizationToken = Buffer.from('AWS:pass:word').toString('base64');
  const given = { username: 'AWS', password: 'pass:word', expiresMs: 1_795_000_000_000 };

  it('is read as a list and alone, with its end as a number and as text', () => {
    expect(passwordIn([{ authorizationToken, expiresAt: 1_795_000_000 }])).toEqual(given);
    expect(passwordIn({ authorizationToken, expiresAt: new Date(1_795_000_000_000).toISOString() })).toEqual(given);
    expect(passwordIn({ authorizationToken })).toEqual({ ...given, expiresMs: 0 });
  });

  it.each([undefined, [], [{}], { authorizationToken: 'AAAA' }])('is refused without a password: %j', (data) => {
    expect(() => passwordIn(data)).toThrow('answered without a user and a password');
  });
});
