// `continuo create source … --export` against `flux create source … --export` of the same flags: the same object.
import { execFileSync } from 'node:child_process';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ensureBinaries } from '../../tools/platform/index.ts';
import { type CommandResult, startContinuo } from '../servers/command.ts';

let flux: string;
beforeAll(async () => {
  ({ flux } = await ensureBinaries(['flux']));
}, 900_000);

const argumentsOf = (flags: string): string[] => ['create', 'source', ...flags.split(' '), '--export'];
const byFlux = (flags: string): unknown => parse(execFileSync(flux, argumentsOf(flags), { encoding: 'utf8' }));
const run = (...args: string[]): Promise<CommandResult> => startContinuo(args, { KUBECONFIG: '/nonexistent' }).result;

async function byContinuo(flags: string): Promise<unknown> {
  const { code, stdout, stderr } = await run(...argumentsOf(flags));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return parse(stdout);
}

const commit = 'a'.repeat(40);

describe.concurrent('create source makes what flux makes', () => {
  test.each([
    'git apps --url=https://git.test/a --branch=main',
    'git apps --url=https://git.test/a --tag=v1 --interval=5m --fetch-timeout=2m --namespace=team --label=tier=one',
    'git apps --url=https://git.test/a --tag-semver=1.x --secret-ref=login --proxy-secret-ref=proxy --recurse-submodules',
    'git apps --url=https://git.test/a --ref-name=refs/pull/7/head --ignore-paths=docs,*.md --sparse-checkout-paths=./a,./b',
    `git apps --url=https://git.test/a --branch=main --commit=${commit} --provider=github --secret-ref=app`,
    'git apps --url=ssh://git@git.test/a --branch=main --secret-ref=ssh',
    'oci apps --url=oci://r.test/team/a --tag=v1',
    'oci apps --url=oci://r.test/team/a --tag-semver=1.x --insecure --secret-ref=login --cert-ref=tls --proxy-secret-ref=proxy',
    `oci apps --url=oci://r.test/team/a --digest=sha256:${'b'.repeat(64)} --service-account=puller --provider=aws --ignore-paths=docs,*.md`,
    'oci apps --url=oci://r.test/team/a --tag=v1 --verify-provider=cosign --verify-secret-ref=keys',
    'oci apps --url=oci://r.test/team/a --tag=v1 --verify-provider=cosign --verify-issuer=^https://i$ --verify-subject=^s$',
    'oci apps --url=oci://r.test/team/a --tag=v1 --layer-selector=application/x.tar:copy',
    'helm charts --url=https://charts.test --interval=10m',
    'helm charts --url=https://charts.test/stable --secret-ref=login --pass-credentials',
    'helm charts --url=oci://r.test/charts --oci-provider=azure --secret-ref=login',
    'bucket apps --bucket-name=apps --endpoint=s3.test:9000 --insecure --secret-ref=keys --region=here',
    'bucket apps --bucket-name=apps --endpoint=s3.test --provider=aws --proxy-secret-ref=proxy --ignore-paths=docs,*.md',
    'chart web --source=HelmRepository/charts --chart=web --chart-version=1.x',
    'chart web --source=GitRepository/apps --chart=./charts/web --reconcile-strategy=Revision',
    'chart web --source=HelmRepository/charts --chart=web --verify-provider=cosign --verify-secret-ref=keys',
  ])('%s', async (flags) => {
    expect(await byContinuo(flags)).toEqual(byFlux(flags));
  });
});

describe.concurrent('what cannot be is told in one line, with the exit code of wrong usage', () => {
  test.each<[string, string]>([
    ['git apps --branch=main', '--url is missing'],
    ['git apps --url=https://git.test/a', 'what to take is missing: give --branch'],
    ['git apps --url=ssh://git@git.test/a --branch=main', '--secret-ref'],
    ['git Apps_1 --url=https://git.test/a --branch=main', 'Apps_1'],
    ['git apps --url=https://git.test/a --branch=main --interval=often', '--interval'],
    ['oci apps --url=oci://r.test/a --tag=v1 --layer-selector=x:move', '--layer-selector'],
    ['helm charts --url=ftp://charts.test', '--url has to be an address'],
    ['bucket apps --endpoint=s3.test', '--bucket-name is missing'],
    ['bucket apps --bucket-name=apps --endpoint=s3.test --provider=ftp', 'Allowed choices are generic, aws'],
    ['chart web --chart=web', '--source: expected "<kind>/<name>"'],
    ['svn apps', 'svn'],
  ])('create source %s', async (flags, words) => {
    const { code, stdout, stderr } = await run(...argumentsOf(flags));
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(words);
    expect(stderr.replace('(see --help)', '').trim().split('\n')).toHaveLength(1);
  });

  test.each([
    ['get', 'sources', 'all'],
    ['reconcile', 'source', 'git', 'apps'],
    ['resume', 'source', 'oci', 'apps'],
    ['create', 'source', 'git', 'apps', '--url=https://git.test/a', '--branch=main'],
  ])('%s %s %s without a cluster', async (...args) => {
    const { code, stdout, stderr } = await run(...args);
    expect({ code, stdout }).toEqual({ code: expect.any(Number) as number, stdout: '' });
    expect(code).not.toBe(0);
    expect(stderr).toContain('/nonexistent');
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});
