// What the end-to-end tests share: a cluster client, repositories that are pushed to, objects, and patience.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inject } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { createKubeClient } from '../../k8s/kube-client.ts';
import type { KubeObject } from '../../k8s/object.ts';

/** An administrator's client of the test cluster. */
export function connectCluster(): KubeClient {
  return createKubeClient({ kubeconfig: inject('kubeconfig') });
}

/** A repository on the Git server and a clone of it. */
export interface TestRepository {
  url: string;
  directory: string;
  /** Writes files (null removes), commits and pushes; gives the commit's id. */
  commit(files: Record<string, string | null>, message?: string): string;
}

interface GitServerPlace {
  gitRoot: string;
  gitUrl: string;
  /** Clones are made here. */
  dataDir: string;
}

/** Where `createRepository` makes repositories, for a test that has a platform of its own. */
let gitServer: GitServerPlace | undefined;

/** Has repositories made on another Git server than that of the shared platform. */
export function useGitServer(server: GitServerPlace): void {
  gitServer = server;
}

const identity = ['-c', 'user.name=test', '-c', 'user.email=test@example.com', '-c', 'commit.gpgsign=false'];

export function git(directory: string, ...args: string[]): string {
  return execFileSync('git', [...identity, ...args], { cwd: directory, encoding: 'utf8', stdio: 'pipe' }).trim();
}

export function createRepository(name: string): TestRepository {
  const { gitRoot, gitUrl, dataDir } = gitServer ?? {
    gitRoot: inject('gitRoot'),
    gitUrl: inject('gitUrl'),
    dataDir: inject('dataDir'),
  };
  const bare = join(gitRoot, `${name}.git`);
  git(tmpdir(), 'init', '--quiet', '--bare', '--initial-branch=main', bare);
  git(bare, 'config', 'http.receivepack', 'true');
  const directory = mkdtempSync(join(dataDir, 'clone-')); // goes with the platform
  git(directory, 'init', '--quiet', '--initial-branch=main');
  git(directory, 'remote', 'add', 'origin', bare);
  return {
    url: `${gitUrl}/${name}.git`,
    directory,
    commit(files, message = 'change') {
      for (const [path, content] of Object.entries(files)) {
        const file = join(directory, path);
        if (content === null) rmSync(file, { recursive: true });
        else {
          mkdirSync(dirname(file), { recursive: true });
          writeFileSync(file, content);
        }
      }
      git(directory, 'add', '--all');
      git(directory, 'commit', '--quiet', '--allow-empty', `--message=${message}`);
      git(directory, 'push', '--quiet', '--force', 'origin', 'main');
      return git(directory, 'rev-parse', 'HEAD');
    },
  };
}

/** Looks until something is there, and says what was awaited when it is not. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 45_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const seen = await look();
      if (seen !== undefined && seen !== false) return seen;
      last = seen;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`timed out after ${timeoutMs} ms waiting for ${what}: ${String(last)}`);
    await sleep(50);
  }
}

let counter = 0;

/** A namespace of its own for a test. */
export async function createNamespace(client: KubeClient, prefix: string): Promise<string> {
  const name = `${prefix}-${process.pid}-${counter++}`;
  await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  return name;
}

export function gitRepository(namespace: string, name: string, url: string, spec: object = {}): KubeObject {
  return {
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'GitRepository',
    metadata: { namespace, name },
    spec: { interval: '10m', url, ref: { branch: 'main' }, ...spec },
  };
}

export function kustomization(namespace: string, name: string, source: string, spec: object = {}): KubeObject {
  return {
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    metadata: { namespace, name },
    spec: {
      interval: '10m',
      retryInterval: '5s',
      prune: true,
      targetNamespace: namespace,
      sourceRef: { kind: 'GitRepository', name: source },
      ...spec,
    },
  };
}

export function configMap(name: string, data: Record<string, string>): string {
  return `${JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data })}\n`;
}

export interface Condition {
  type: string;
  status: string;
  reason: string;
  message: string;
}

export interface FluxStatus {
  conditions?: Condition[];
  observedGeneration?: number;
  lastAppliedRevision?: string;
  lastAttemptedRevision?: string;
  lastHandledReconcileAt?: string;
  artifact?: { revision: string; digest: string; url: string };
  inventory?: { entries: { id: string; v: string }[] };
  history?: { digest: string; lastReconciledStatus: string; totalReconciliations: number }[];
}

export function statusOf(object: KubeObject | undefined): FluxStatus {
  return object?.status ?? {};
}

export function conditionOf(object: KubeObject | undefined, type: string): Condition | undefined {
  return statusOf(object).conditions?.find((condition) => condition.type === type);
}

/** Asks for a reconcile as `flux reconcile` does; gives the value that the status will echo. */
export async function requestReconcile(client: KubeClient, object: KubeObject): Promise<string> {
  const request = new Date().toISOString();
  const { namespace = '', name } = object.metadata;
  const [group = '', version = ''] = object.apiVersion.split('/');
  await client.patch(
    { group, version, kind: object.kind, namespace, name },
    { metadata: { annotations: { 'reconcile.fluxcd.io/requestedAt': request } } },
    { type: 'merge' },
  );
  return request;
}
