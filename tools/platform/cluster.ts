// What the platform itself asks of its API server: the fake node, and whether pods can be created yet. Everything else,
// CRDs included, is the worker's.
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';

/** How to reach the API server. */
export interface ClusterAccess {
  /** `https://127.0.0.1:<port>` */
  server: string;
  /** PEM file of the certificate authority. */
  caFile: string;
  token: string;
}

/** The one node, large enough that no test has to think about room. */
const node = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: {
    name: 'node-1',
    labels: {
      'kubernetes.io/arch': 'amd64',
      'kubernetes.io/hostname': 'node-1',
      'kubernetes.io/os': 'linux',
      type: 'kwok',
    },
  },
  status: {
    allocatable: { cpu: '10k', memory: '64Ti', 'ephemeral-storage': '64Ti', pods: '10000' },
    capacity: { cpu: '10k', memory: '64Ti', 'ephemeral-storage': '64Ti', pods: '10000' },
    nodeInfo: {
      architecture: 'amd64',
      bootID: '',
      containerRuntimeVersion: 'kwok',
      kernelVersion: 'kwok',
      kubeProxyVersion: 'kwok',
      kubeletVersion: 'kwok',
      machineID: '',
      operatingSystem: 'linux',
      osImage: 'kwok',
      systemUUID: '',
    },
  },
};

/** Creates the fake node unless it is there. */
export async function createNode(access: ClusterAccess): Promise<void> {
  const { status, body } = await call(access, 'POST', '/api/v1/nodes', node);
  if (status !== 201 && status !== 409) throw new Error(`node "node-1" not created (${status}): ${body}`);
}

/** Waits until the node is Ready and the default service account exists, without which no pod can be created. */
export async function waitForNode(access: ClusterAccess, timeoutMs = 30_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const [found, account] = await Promise.all([
      call(access, 'GET', '/api/v1/nodes/node-1'),
      call(access, 'GET', '/api/v1/namespaces/default/serviceaccounts/default'),
    ]);
    if (account.status === 200 && found.status === 200 && isNodeReady(found.body)) return;
    if (performance.now() > deadline) {
      throw new Error(`cluster not ready (Timeout): node answered ${found.status}, service account ${account.status}`);
    }
    await sleep(25);
  }
}

function isNodeReady(body: string): boolean {
  const { status } = JSON.parse(body) as { status?: { conditions?: { type: string; status: string }[] } };
  return status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

function call(
  access: ClusterAccess,
  method: string,
  path: string,
  content?: object,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${access.token}`, 'content-type': 'application/json' };
    const options = { method, headers, ca: readFileSync(access.caFile), agent: false, timeout: 10_000 };
    const sent = request(`${access.server}${path}`, options, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.once('error', reject);
    });
    sent.once('timeout', () => sent.destroy(new Error(`${method} ${path} not answered (Timeout)`)));
    sent.once('error', reject);
    sent.end(content ? JSON.stringify(content) : undefined);
  });
}
