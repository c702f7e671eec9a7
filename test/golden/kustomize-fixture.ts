// What the golden tests share: an artifact made of literals, and the real kustomize binary to compare with.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { inject } from 'vitest';
import type { UnpackedArtifact } from '../../activities/artifact/artifact.ts';
import type { BuildOptions } from '../../activities/build/build-manifests.ts';
import { readManifests } from '../../activities/build/read-manifests.ts';
import type { KubeObject } from '../../k8s/object.ts';

export interface Fixture {
  artifact(files: Record<string, string>): UnpackedArtifact;
  options: BuildOptions;
  /** What the binary prints for a directory of files, as objects. */
  kustomize(files: Record<string, string>, directory: string): KubeObject[];
  /** Names left in the directory of private builds. */
  leftovers(): string[];
  remove(): void;
}

/** The kustomize binary: CONTINUO_KUSTOMIZE, or the one of the platform that the tests run with. */
export function findKustomize(): string {
  return process.env.CONTINUO_KUSTOMIZE ?? join(inject('binDir'), 'kustomize');
}

export function createFixture(): Fixture {
  const root = mkdtempSync(join(tmpdir(), 'continuo-golden-'));
  const binary = findKustomize();
  let count = 0;

  function write(files: Record<string, string>): string {
    count += 1;
    const directory = join(root, `artifact-${count}`);
    mkdirSync(directory);
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      writeFileSync(join(directory, path), content);
    }
    return directory;
  }

  return {
    artifact(files) {
      const digests = Object.entries(files).map(([path, content]): [string, string] => [path, sha256(content)]);
      return { digest: `sha256:${sha256(JSON.stringify(digests))}`, directory: write(files), files: new Map(digests) };
    },
    options: {
      kustomizeBinary: binary,
      kustomizeVersion: 'v5.8.2',
      noRemoteBases: false,
      temporaryDirectory: join(root, 'builds'),
    },
    kustomize(files, directory) {
      const target = join(write(files), directory);
      const output = execFileSync(binary, ['build', '--load-restrictor', 'LoadRestrictionsNone', target], {
        encoding: 'utf8',
      });
      return readManifests(output, 'kustomize').objects;
    },
    leftovers: () => readdirSync(join(root, 'builds')),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

function sha256(content: string): string {
  return createHash('sha256').update(content).digest('hex');
}
