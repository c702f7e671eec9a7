// What the real flux binary builds of a directory and a Kustomization, offline.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { readManifests } from '../../activities/build/read-manifests.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { ensureBinaries } from '../../tools/platform/binaries.ts';

export interface FluxBuild {
  /** What flux prints, without the owner labels that it adds; empty when it failed. */
  objects: KubeObject[];
  /** Its error; '' when it succeeded. */
  error: string;
}

export interface FluxFixture {
  /** Builds a Kustomization's `spec.path` of these files; variables that are not set are refused. */
  build(files: Record<string, string>, spec: Record<string, unknown>, options?: { isStrict?: boolean }): FluxBuild;
  remove(): void;
}

/** The Kustomization of every fixture. */
export const fluxKustomization = (spec: Record<string, unknown>): KubeObject => ({
  apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
  kind: 'Kustomization',
  metadata: { name: 'app', namespace: 'apps' },
  spec: { interval: '1m', prune: true, sourceRef: { kind: 'GitRepository', name: 'app' }, ...spec },
});

export async function createFluxFixture(): Promise<FluxFixture> {
  const { flux } = await ensureBinaries(['flux'], { report: (line) => console.error(line) });
  const root = mkdtempSync(join(tmpdir(), 'continuo-flux-'));
  let count = 0;

  return {
    build(files, spec, { isStrict = true } = {}) {
      count += 1;
      const directory = join(root, `source-${count}`);
      for (const [path, content] of Object.entries(files)) {
        mkdirSync(dirname(join(directory, path)), { recursive: true });
        writeFileSync(join(directory, path), content);
      }
      const file = join(root, `kustomization-${count}.yaml`);
      writeFileSync(file, JSON.stringify(fluxKustomization(spec)));
      const path = join(directory, String(spec.path ?? '.'));
      const args = ['build', 'kustomization', 'app', '-n', 'apps', '--path', path, '--kustomization-file', file];
      const flags = ['--dry-run', ...(isStrict ? ['--strict-substitute'] : [])];
      const run = spawnSync(flux, [...args, ...flags], {
        encoding: 'utf8',
        env: { HOME: root, PATH: process.env.PATH },
        maxBuffer: 64 * 1024 * 1024,
      });
      if (run.status !== 0) return { objects: [], error: `${run.stderr}${run.error?.message ?? ''}` };
      return { objects: readManifests(run.stdout, 'flux').objects.map(withoutOwnerLabels), error: '' };
    },
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

function withoutOwnerLabels(object: KubeObject): KubeObject {
  const labels = Object.entries(object.metadata.labels ?? {});
  const kept = labels.filter(([key]) => !/^kustomize\.toolkit\.fluxcd\.io\/(?:name|namespace)$/.test(key));
  const { labels: _, ...metadata } = object.metadata;
  return { ...object, metadata: kept.length > 0 ? { ...metadata, labels: Object.fromEntries(kept) } : metadata };
}
