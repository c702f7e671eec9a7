// Logins of spec.provider to the registries of AWS, Google and Azure, against servers that check every
// signature and token, under the clouds' own names through a proxy.
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CloudLogins, createCloudLogins } from '../../activities/source/cloud/cloud-logins.ts';
import type { AccountDeps } from '../../activities/source/cloud/cloud-identity.ts';
import type { OCIRepositorySpec } from '../../k8s/api/oci-repository.ts';
import { cloudCa, type CloudFront, cloudHosts, startCloudFront } from '../servers/cloud-front.ts';
import {
  checkTestToken,
  cloudEnvironment,
  startTestClouds,
  testAccounts,
  type TestClouds,
} from '../servers/cloud-login.ts';
import { fluxLayer } from '../servers/flux-artifact.ts';
import { pushTestArtifact, startTestRegistry, type TestRegistry } from '../servers/registry.ts';
import { createOciFixture, failureOf, type OciFixture } from './oci-fixture.ts';

const role = 'arn:aws:iam::123456789012:role/pull';
const own = { AWS_ACCESS_KEY_ID: 'AKIAOWN', AWS_SECRET_ACCESS_KEY: 'own/secret+key' };
const accountAnnotations = {
  'eks.amazonaws.com/role-arn': role,
  'azure.workload.identity/tenant-id': 'tenant-1',
  'azure.workload.identity/client-id': 'client-1',
};

let clouds: TestClouds;
let registry: TestRegistry;
let front: CloudFront;
let fixture: OciFixture;
let accounts: Record<string, Record<string, string>>;
let attempt = 0;

beforeAll(async () => {
  clouds = await startTestClouds(checkTestToken);
  registry = await startTestRegistry();
  const target = `http://${registry.host}`;
  front = await startCloudFront(clouds, Object.fromEntries(Object.values(cloudHosts).map((host) => [host, target])));
  await pushTestArtifact(registry, 'team/web', 'latest', { layers: [fluxLayer({ 'a.yaml': 'a: 1\n' })] });
});
afterAll(async () => {
  await front.close();
  await registry.close();
  await clouds.close();
});

beforeEach(() => {
  attempt += 1;
  clouds.requests.length = 0;
  clouds.keys = { AKIAOWN: { secretAccessKey: own.AWS_SECRET_ACCESS_KEY } };
  clouds.issued = { ecr: 'password-of-ecr', google: 'token-of-google', azure: `token-of-entra-${attempt}` };
  clouds.trusted = {};
  clouds.faults = {};
  clouds.lifeSeconds = 3600;
  front.requests.length = 0;
  front.proxy.requests.length = 0;
  accounts = { 'apps/puller': { ...accountAnnotations, attempt: String(attempt) } };
});
afterEach(() => fixture?.close());

/** The attempt makes each environment another one, so that nothing is kept from the last test. */
function loginsWith(env: Record<string, string>, deps?: Partial<AccountDeps>): CloudLogins {
  return createCloudLogins({
    env: { ...cloudEnvironment(clouds), ATTEMPT: String(attempt), ...env },
    accounts: deps && { ...testAccounts(accounts), ...deps },
  });
}

function use(host: string, logins: CloudLogins, spec: Partial<OCIRepositorySpec>): void {
  fixture?.close();
  fixture = createOciFixture({ logins });
  fixture.secrets['apps/ca'] = { 'ca.crt': cloudCa };
  fixture.secrets['apps/proxy'] = { address: front.proxy.url };
  const connection = { certSecretRef: { name: 'ca' }, proxySecretRef: { name: 'proxy' } };
  fixture.use(`oci://${host}/team/web`, { ...connection, ...spec });
}

async function pulls(): Promise<void> {
  const { archived } = await fixture.reconcile();
  expect(fixture.list(archived)).toEqual(['a.yaml']);
}

describe('a registry of Amazon', () => {
  it.each<[string, () => Record<string, string>, string[]]>([
    ['of its environment', () => own, []],
    [
      'of its web identity',
      () => {
        clouds.trusted[role] = 'the worker';
        return { AWS_ROLE_ARN: role, AWS_WEB_IDENTITY_TOKEN_FILE: clouds.tokenFile };
      },
      ['POST /sts continuo'],
    ],
    [
      'of its pod or task',
      () => ({
        AWS_CONTAINER_CREDENTIALS_FULL_URI: `${clouds.url}/container`,
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: clouds.tokenFile,
      }),
      ['GET /container'],
    ],
    [
      'of its machine',
      () => ({}),
      [
        'PUT /imds/latest/api/token',
        'GET /imds/latest/meta-data/iam/security-credentials/',
        'GET /imds/latest/meta-data/iam/security-credentials/role-of-node',
      ],
    ],
  ])('lets the worker in with the credentials %s', async (_, env, asked) => {
    use(cloudHosts.ecr, loginsWith(env()), { provider: 'aws' });
    await pulls();
    expect(clouds.requests).toEqual([...asked, 'POST /ecr/']);
    expect(front.proxy.requests).toContain(`CONNECT ${cloudHosts.ecr}:443`);
    clouds.requests.length = 0;
    await pulls();
    expect(clouds.requests).toEqual([]); // what was given is kept
  });

  it('that is public has a service of its own', async () => {
    use(cloudHosts.ecrPublic, loginsWith(own), { provider: 'aws' });
    await pulls();
    expect(clouds.requests).toEqual(['POST /ecr-public/']);
  });

  it('is logged in to once by many that ask at the same time', async () => {
    clouds.faults['/ecr/'] = { delayMs: 100 };
    use(cloudHosts.ecr, loginsWith(own), { provider: 'aws' });
    await Promise.all(Array.from({ length: 10 }, () => fixture.fetch()));
    expect(clouds.requests).toEqual(['POST /ecr/']);
  });

  it('gets credentials anew before they end', async () => {
    clouds.lifeSeconds = 60;
    use(cloudHosts.ecr, loginsWith({}), { provider: 'aws' });
    await fixture.fetch();
    await fixture.fetch();
    expect(clouds.requests.filter((line) => line.includes('role-of-node'))).toHaveLength(2);
  });

  it('says who refuses what, and never with what', async () => {
    use(cloudHosts.ecr, loginsWith({ ...own, AWS_SECRET_ACCESS_KEY: 'wrong/secret' }), { provider: 'aws' });
    const refused = await failureOf(fixture.fetch());
    expect(refused).toEqual({
      reason: 'AuthenticationFailed',
      message: 'the registry service of provider "aws" gave no credentials: the signature is wrong',
    });
    use(cloudHosts.ecr, loginsWith({ ...own, OTHER: '1' }), { provider: 'aws' });
    await fixture.fetch();
    clouds.issued.ecr = 'another';
    expect(await failureOf(fixture.fetch())).toMatchObject({
      reason: 'AuthenticationFailed',
      message: expect.stringContaining('check what the identity of the worker may do'),
    });
    use(cloudHosts.ecr, loginsWith({ AWS_EC2_METADATA_DISABLED: 'true' }), { provider: 'aws' });
    expect((await failureOf(fixture.fetch())).message).toBe(
      'the identity of the worker gave no credentials: the worker has no AWS credentials of its own',
    );
  });

  it('is not waited for when the machine has no metadata', async () => {
    clouds.faults['/imds/latest/api/token'] = { delayMs: 60_000 };
    use(cloudHosts.ecr, loginsWith({}), { provider: 'aws' });
    expect(await failureOf(fixture.fetch())).toMatchObject({
      reason: 'AuthenticationFailed',
      message: expect.stringContaining('and no instance role could be asked for'),
    });
  }, 20_000);

  it('lets in a service account of the object by the role in its annotation', async () => {
    clouds.trusted[role] = 'apps:puller';
    use(cloudHosts.ecr, loginsWith({}, {}), { provider: 'aws', serviceAccountName: 'puller' });
    fixture.serviceAccounts['apps/puller'] = [];
    await pulls();
    expect(clouds.requests).toEqual(['POST /sts puller.apps.eu-west-1.fluxcd.io', 'POST /ecr/']);
  });

  it('lets in the account of the installation where the object names none', async () => {
    clouds.trusted[role] = 'apps:puller';
    use(cloudHosts.ecr, loginsWith({}, { defaultServiceAccount: 'puller' }), { provider: 'aws' });
    await pulls();
    expect(clouds.requests[0]).toBe('POST /sts puller.apps.eu-west-1.fluxcd.io');
  });

  it('refuses a service account with a word for what is wrong', async () => {
    const refusal = async (logins: CloudLogins) => {
      use(cloudHosts.ecr, logins, { provider: 'aws', serviceAccountName: 'puller' });
      fixture.serviceAccounts['apps/puller'] = [];
      return await failureOf(fixture.fetch());
    };
    expect(await refusal(loginsWith({}))).toEqual({
      reason: 'FeatureGateDisabled',
      message:
        'spec.serviceAccountName logs in with an identity of its own, which is off: set CONTINUO_OBJECT_LEVEL_WORKLOAD_IDENTITY=true on the worker, or remove it',
    });
    expect(await refusal(loginsWith({}, {}))).toEqual({
      reason: 'AuthenticationFailed',
      message:
        'ServiceAccount "apps/puller" gave no credentials: Not authorized to perform sts:AssumeRoleWithWebIdentity',
    });
    const requestToken = () =>
      Promise.reject(new Error('serviceaccounts "puller" is forbidden: cannot create "token"'));
    expect((await refusal(loginsWith({}, { requestToken }))).message).toContain(
      'gave no credentials: the API server gave no token of the account: serviceaccounts "puller" is forbidden',
    );
    accounts['apps/puller'] = { 'eks.amazonaws.com/role-arn': 'pull' };
    expect((await refusal(loginsWith({}, {}))).message).toBe(
      'ServiceAccount "apps/puller" has an unusable annotation "eks.amazonaws.com/role-arn": expected "arn:aws:iam::<account>:role/<name>"',
    );
    accounts = {};
    expect((await refusal(loginsWith({}, {}))).message).toBe(
      'ServiceAccount "apps/puller" named by spec.serviceAccountName does not exist',
    );
  });
});

describe('a registry of Google', () => {
  it('lets in the worker by the metadata server', async () => {
    use(cloudHosts.google, loginsWith({}), { provider: 'gcp' });
    await pulls();
    expect(clouds.requests).toEqual(['GET /computeMetadata/v1/instance/service-accounts/default/token']);
  });

  it('lets in the worker by a federation in GOOGLE_APPLICATION_CREDENTIALS', async () => {
    const audience = '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/worker';
    const email = 'worker@my-project.iam.gserviceaccount.com';
    clouds.trusted = { [audience]: 'the worker', [email]: audience };
    const file = join(dirname(clouds.tokenFile), 'federation.json');
    const iam = `${clouds.url}/google-iam/v1/projects/-/serviceAccounts`;
    writeFileSync(
      file,
      JSON.stringify({
        type: 'external_account',
        audience,
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        token_url: `${clouds.url}/google-sts/v1/token`,
        service_account_impersonation_url: `${iam}/${email}:generateAccessToken`,
        credential_source: { file: clouds.tokenFile },
      }),
    );
    use(cloudHosts.google, loginsWith({ GOOGLE_APPLICATION_CREDENTIALS: file }), { provider: 'gcp' });
    await pulls();
    expect(clouds.requests).toEqual([
      'POST /google-sts/v1/token https://www.googleapis.com/auth/cloud-platform',
      `POST /google-iam/v1/projects/-/serviceAccounts/${email}:generateAccessToken`,
    ]);
  });

  const gke =
    'identitynamespace:my-project.svc.id.goog:https://container.googleapis.com/v1/projects/my-project/locations/europe-west1/clusters/my-cluster';
  const provider = 'projects/1/locations/global/workloadIdentityPools/pool/providers/cluster';
  it.each([
    ['on GKE', {}, gke],
    [
      'by a provider that it names',
      { 'gcp.auth.fluxcd.io/workload-identity-provider': provider },
      `//iam.googleapis.com/${provider}`,
    ],
  ])('lets in a service account of the object %s, as the Google account that it names', async (_, more, audience) => {
    const email = 'pull@my-project.iam.gserviceaccount.com';
    clouds.trusted = { [audience]: 'apps:puller', [email]: audience };
    accounts['apps/puller'] = { 'iam.gke.io/gcp-service-account': email, ...more, attempt: String(attempt) };
    use(cloudHosts.google, loginsWith({}, {}), { provider: 'gcp', serviceAccountName: 'puller' });
    fixture.serviceAccounts['apps/puller'] = [];
    await pulls();
    delete clouds.trusted[email];
    use(cloudHosts.google, loginsWith({}, {}), { provider: 'gcp', serviceAccountName: 'puller' });
    fixture.serviceAccounts['apps/puller'] = [];
    accounts['apps/puller'].other = 'account';
    expect(await failureOf(fixture.fetch())).toEqual({
      reason: 'AuthenticationFailed',
      message:
        'ServiceAccount "apps/puller" gave no credentials: Permission \'iam.serviceAccounts.getAccessToken\' denied',
    });
  });
});

describe('a registry of Azure', () => {
  it.each<[string, () => Record<string, string>, string]>([
    ['its machine', () => ({}), 'GET /metadata/identity/oauth2/token https://management.azure.com'],
    [
      'its service',
      () => ({ IDENTITY_ENDPOINT: `${clouds.url}/identity`, IDENTITY_HEADER: 'header-of-service' }),
      'GET /identity https://management.azure.com',
    ],
    [
      'its workload',
      () => {
        clouds.trusted['client-1'] = 'the worker';
        return {
          AZURE_TENANT_ID: 'tenant-1',
          AZURE_CLIENT_ID: 'client-1',
          AZURE_FEDERATED_TOKEN_FILE: clouds.tokenFile,
        };
      },
      'POST /tenant-1/oauth2/v2.0/token https://management.azure.com/.default',
    ],
    [
      'an application',
      () => ({
        AZURE_TENANT_ID: 'tenant-1',
        AZURE_CLIENT_ID: 'client-9',
        AZURE_CLIENT_SECRET: 'secret-of-the-client',
      }),
      'POST /tenant-1/oauth2/v2.0/token https://management.azure.com/.default',
    ],
  ])('lets in the worker by the identity of %s, in exchange for a token of its own', async (_, env, asked) => {
    use(cloudHosts.azure, loginsWith(env()), { provider: 'azure' });
    await pulls();
    expect(clouds.requests).toEqual([asked]);
    const exchanges = front.requests.filter((line) => line.includes('/oauth2/'));
    expect(exchanges).toEqual([
      `200 ${cloudHosts.azure} POST /oauth2/exchange`,
      `200 ${cloudHosts.azure} POST /oauth2/token`,
    ]);
  });

  it('lets in a service account of the object, and refuses it with the words of Azure', async () => {
    clouds.trusted['client-1'] = 'apps:puller';
    use(cloudHosts.azure, loginsWith({}, {}), { provider: 'azure', serviceAccountName: 'puller' });
    fixture.serviceAccounts['apps/puller'] = [];
    await pulls();
    clouds.trusted = {};
    accounts['apps/puller'] = { ...accountAnnotations, other: 'account' };
    expect(await failureOf(fixture.fetch())).toEqual({
      reason: 'AuthenticationFailed',
      message: 'ServiceAccount "apps/puller" gave no credentials: AADSTS70021: no matching federated identity',
    });
  });

  it('that does not exchange the token says so', async () => {
    use(cloudHosts.azure, loginsWith({}), { provider: 'azure' });
    clouds.faults['/metadata/identity/oauth2/token'] = { status: 200, body: '{"access_token":"of-another"}' };
    expect(await failureOf(fixture.fetch())).toEqual({
      reason: 'AuthenticationFailed',
      message: 'the registry service of provider "azure" gave no credentials: authentication required',
    });
  });
});

it('nobody else is sent an identity', async () => {
  for (const [provider, host] of [
    ['aws', 'ghcr.io'],
    ['aws', '123456789012.dkr.ecr.eu-west-1.amazonaws.com.example.org'],
    ['gcp', 'evil-gcr.io'],
    ['azure', 'team.azurecr.io.example.org'],
  ] as const) {
    use(host, loginsWith(own), { provider });
    expect(await failureOf(fixture.fetch())).toMatchObject({
      reason: 'AuthenticationFailed',
      message: expect.stringContaining(`logs in to its own registries alone, not to "${host}"`),
    });
  }
  expect(clouds.requests).toEqual([]);
  expect(front.proxy.requests).toEqual([]);
});

it('a Secret of the object comes before its provider', async () => {
  use(cloudHosts.ecr, loginsWith({}), { provider: 'aws', secretRef: { name: 'login' } });
  fixture.secrets['apps/login'] = { username: 'AWS', password: clouds.issued.ecr };
  await pulls();
  expect(clouds.requests).toEqual([]);
});
