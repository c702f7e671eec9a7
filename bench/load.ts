// The load: a repository with one application for each of N Kustomizations, and the objects that reconcile it. The same
// shape as in the published Flux benchmark: ServiceAccount, Service, Deployment without replicas, Ingress.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { KubeObject } from '../k8s/object.ts';

export function appName(index: number): string {
  return `app-${String(index).padStart(4, '0')}`;
}

/** The four objects of an application at a version. */
export function appObjects(index: number, version: string): KubeObject[] {
  const name = appName(index);
  const labels = { app: name };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { selector: labels, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name },
      spec: {
        replicas: 0,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels, annotations: { version } },
          spec: {
            serviceAccountName: name,
            containers: [{ name: 'app', image: `registry.example.com/app:${version}` }],
          },
        },
      },
    },
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      metadata: { name },
      spec: {
        rules: [
          {
            host: `${name}.example.com`,
            http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name, port: { number: 80 } } } }] },
          },
        ],
      },
    },
  ];
}

/** The smallest object that can change. */
export function configMapObject(name: string, value: string): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { value } };
}

/** A repository that the platform's Git server serves. */
export interface BenchRepository {
  url: string;
  write(path: string, objects: readonly KubeObject[]): void;
  /** Texts by path. */
  writeFiles(files: Readonly<Record<string, string>>): void;
  /** Commits all and pushes; gives the commit's id. */
  push(message: string): string;
}

export function createBenchRepository(gitRoot: string, gitUrl: string, name: string): BenchRepository {
  const bare = join(gitRoot, `${name}.git`);
  const clone = mkdtempSync(join(tmpdir(), 'continuo-bench-'));
  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=bench', '-c', 'user.email=bench@example.com', ...args], {
      cwd: clone,
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim();
  git('init', '--quiet', '--bare', '--initial-branch=main', bare);
  git('init', '--quiet', '--initial-branch=main');
  git('remote', 'add', 'origin', bare);
  return {
    url: `${gitUrl}/${name}.git`,
    write(path, objects) {
      mkdirSync(join(clone, path), { recursive: true });
      writeFileSync(join(clone, path, 'app.yaml'), objects.map((object) => JSON.stringify(object)).join('\n---\n'));
    },
    writeFiles(files) {
      for (const [path, content] of Object.entries(files)) {
        mkdirSync(dirname(join(clone, path)), { recursive: true });
        writeFileSync(join(clone, path), content);
      }
    },
    push(message) {
      git('add', '--all');
      git('commit', '--quiet', '--allow-empty', `--message=${message}`);
      git('push', '--quiet', 'origin', 'main');
      return git('rev-parse', 'HEAD');
    },
  };
}

export function sourceObject(namespace: string, url: string): KubeObject {
  return {
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'GitRepository',
    metadata: { namespace, name: 'bench' },
    spec: { interval: '10m', url, ref: { branch: 'main' } },
  };
}

export function kustomizationObject(namespace: string, name: string, path: string, spec: object = {}): KubeObject {
  return {
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    metadata: { namespace, name },
    spec: {
      interval: '10m',
      path,
      prune: true,
      wait: true,
      timeout: '5m',
      targetNamespace: namespace,
      sourceRef: { kind: 'GitRepository', name: 'bench' },
      ...spec,
    },
  };
}
