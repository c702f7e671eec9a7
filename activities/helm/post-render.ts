// What happens to the manifests of a chart between rendering and applying (contract 1.9, `postRenderers`, and 2.2): patches
// and images by kustomize, then the common metadata, then the labels that say whose release it is.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HelmRelease, PostRenderer } from '../../k8s/api/helm-release.ts';
import { isHookManifest, setManifestMetadata, splitManifests } from './post-render-manifest.ts';

export interface PostRenderOptions {
  /** Runs `kustomize build` in a directory that holds one kustomization, and gives what it prints. */
  kustomize(directory: string, signal: AbortSignal): Promise<string>;
  /** Private directories are made below it. */
  temporaryDirectory: string;
  /** Changes each manifest after all else. @default as it is */
  changeLast?(manifest: string): string;
}

/** Changes a stream of rendered manifests. Rejects with an `Error` that names the post-renderer which failed. */
export type PostRender = (manifests: string, signal: AbortSignal) => Promise<string>;

const labelPrefix = 'helm.toolkit.fluxcd.io';

/** The labels of every object of a release, and of its CRDs. */
export function originLabelsOf(object: Pick<HelmRelease, 'metadata'>): Record<string, string> {
  return {
    [`${labelPrefix}/name`]: object.metadata.name,
    [`${labelPrefix}/namespace`]: object.metadata.namespace ?? '',
  };
}

/** The change that a release asks for; hooks are taken as `spec.postRenderStrategy` says. */
export function createPostRender(
  object: Pick<HelmRelease, 'metadata' | 'spec'>,
  options: PostRenderOptions,
): PostRender {
  const { spec } = object;
  const { changeLast = (manifest: string): string => manifest } = options;
  const finish = (documents: string[]): string => joinManifests(documents.map(changeLast));

  async function change(documents: string[], signal: AbortSignal): Promise<string[]> {
    let changed = documents;
    for (const [index, renderer] of (spec.postRenderers ?? []).entries()) {
      if (!renderer.kustomize || changed.length === 0) continue;
      try {
        changed = splitManifests(await runKustomize(changed, renderer.kustomize, options, signal));
      } catch (error) {
        signal.throwIfAborted();
        throw new Error(`spec.postRenderers[${index}] failed: ${(error as Error).message}`, { cause: error });
      }
    }
    const labels = { ...spec.commonMetadata?.labels, ...originLabelsOf(object) };
    const annotations = spec.commonMetadata?.annotations ?? {};
    return changed.map((document) => setManifestMetadata(document, { labels, annotations }));
  }

  return async (manifests, signal) => {
    const documents = splitManifests(manifests);
    if (spec.postRenderStrategy !== 'separate' && spec.postRenderStrategy !== 'nohooks') {
      return finish(await change(documents, signal));
    }
    const hooks = documents.filter(isHookManifest);
    const rest = documents.filter((document) => !isHookManifest(document));
    const changedHooks = spec.postRenderStrategy === 'separate' ? await change(hooks, signal) : hooks;
    return finish([...changedHooks, ...(await change(rest, signal))]);
  };
}

/** Helm takes an empty answer of a post-renderer for a failure of it. */
const nothing = '# nothing is rendered\n';

function joinManifests(documents: string[]): string {
  if (documents.length === 0) return nothing;
  return documents.map((document) => `---\n${document.trimEnd()}\n`).join('');
}

async function runKustomize(
  documents: string[],
  { patches, images }: NonNullable<PostRenderer['kustomize']>,
  options: PostRenderOptions,
  signal: AbortSignal,
): Promise<string> {
  await mkdir(options.temporaryDirectory, { recursive: true, mode: 0o700 });
  const directory = await mkdtemp(join(options.temporaryDirectory, 'post-render-'));
  try {
    const kustomization = {
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      resources: ['helm-output.yaml'],
      patches,
      images,
    };
    // The manifests may hold Secrets.
    const mode = { mode: 0o600 };
    await writeFile(join(directory, 'helm-output.yaml'), joinManifests(documents), mode);
    await writeFile(join(directory, 'kustomization.yaml'), JSON.stringify(kustomization), mode);
    return await options.kustomize(directory, signal);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
