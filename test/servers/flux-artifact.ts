// Artifacts as `flux push artifact` makes them, for tests.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestLayer } from './registry.ts';

export const fluxContentType = 'application/vnd.cncf.flux.content.v1.tar+gzip';

/** A layer with these files, in their order. */
export function fluxLayer(files: Readonly<Record<string, string | Uint8Array>>): TestLayer {
  const root = mkdtempSync(join(tmpdir(), 'continuo-layer-'));
  try {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), content);
    }
    const content = execFileSync('tar', ['-czf', '-', ...Object.keys(files)], { cwd: root });
    return { mediaType: fluxContentType, content };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
