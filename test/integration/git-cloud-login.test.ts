// Logins of spec.provider to CodeCommit and Azure DevOps, under their own names through a proxy.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CloudLogins, createCloudLogins } from '../../activities/source/cloud/cloud-logins.ts';
import { cloudCa, type CloudFront, cloudHosts, startCloudFront } from '../servers/cloud-front.ts';
import {
  checkTestToken,
  cloudEnvironment,
  startTestClouds,
  testAccounts,
  type TestClouds,
} from '../servers/cloud-login.ts';
import { createTestRepository, startTestGitServer, type TestGitServer } from '../servers/git.ts';
import { createGitFixture, type GitFixture } from '../servers/git-fixture.ts';

const own = { AWS_ACCESS_KEY_ID: 'AKIAOWN', AWS_SECRET_ACCESS_KEY: 'own/secret+key' };

let clouds: TestClouds;
let git: TestGitServer;
let front: CloudFront;
let attempt = 0;

beforeAll(async () => {
  clouds = await startTestClouds(checkTestToken);
  clouds.keys['AKIAOWN'] = { secretAccessKey: own.AWS_SECRET_ACCESS_KEY };
  git = await startTestGitServer();
  front = await startCloudFront(clouds, { [cloudHosts.codeCommit]: git.url, [cloudHosts.devOps]: git.url });
});
afterAll(async () => {
  await front.close();
  await git.close();
  await clouds.close();
});

function loginsWith(env: Record<string, string>, isAllowed = false): CloudLogins {
  const annotations = {
    'azure.workload.identity/tenant-id': 'tenant-1',
    'azure.workload.identity/client-id': 'client-1',
  };
  return createCloudLogins({
    env: { ...cloudEnvironment(clouds), ATTEMPT: String(attempt), ...env },
    accounts: isAllowed ? testAccounts({ 'apps/puller': { ...annotations, attempt: String(attempt) } }) : undefined,
  });
}

describe('a repository of Git', () => {
  let source: GitFixture;
  beforeEach(() => {
    attempt += 1;
    clouds.trusted = {};
    clouds.requests.length = 0;
    source = createGitFixture();
    source.secrets['apps/ca'] = { 'ca.crt': cloudCa };
    source.secrets['apps/proxy'] = { address: front.proxy.url };
    for (const path of ['v1/repos/web', 'org/project/_git/web']) {
      const repository = createTestRepository(git.root, `${path}-${attempt}`);
      repository.write('a.yaml', 'a: 1\n');
      repository.commit('first');
    }
  });
  afterEach(() => source.close());
  const connection = { secretRef: { name: 'ca' }, proxySecretRef: { name: 'proxy' } };

  it('in CodeCommit lets in who signs its address, with and without a session', async () => {
    for (const env of [own, {}]) {
      source.restart({ logins: loginsWith(env) });
      const url = `https://${cloudHosts.codeCommit}/v1/repos/web-${attempt}.git`;
      source.use(url, { ...connection, provider: 'aws' });
      expect((await source.reconcile()).fileCount).toBe(1);
    }
    source.restart({ logins: loginsWith({ ...own, AWS_SECRET_ACCESS_KEY: 'wrong' }) });
    expect(await source.failureOf(source.fetch())).toMatchObject({
      reason: 'AuthenticationFailed',
      message: expect.stringContaining('check spec.provider "aws"'),
    });
  });

  it('in Azure DevOps lets in the token of the worker, and of a service account', async () => {
    const url = `https://${cloudHosts.devOps}/org/project/_git/web-${attempt}.git`;
    source.restart({ logins: loginsWith({}) });
    source.use(url, { ...connection, provider: 'azure' });
    expect((await source.reconcile()).fileCount).toBe(1);
    clouds.trusted['client-1'] = 'apps:puller';
    source.restart({ logins: loginsWith({}, true) });
    source.use(url, { ...connection, provider: 'azure', serviceAccountName: 'puller' });
    expect((await source.reconcile()).fileCount).toBe(1);
    expect(clouds.requests.at(-1)).toBe(
      'POST /tenant-1/oauth2/v2.0/token 499b84ac-1321-427f-aa17-267ca6975798/.default',
    );
  });
});
