// What an upgrade of a release would change: its chart, rendered with its values, compared as helm applies it.
import { compareRelease } from '../activities/apply/compare-release.ts';
import { withHelmMarks } from '../activities/apply/release-drift.ts';
import { helmManager } from '../activities/helm/api-gateway.ts';
import { releaseNamesOf } from '../activities/helm/names.ts';
import type { HelmRelease } from '../k8s/api/helm-release.ts';
import { kinds } from '../k8s/api/index.ts';
import type { KubeClient } from '../k8s/client.ts';
import { type Compared, type DiffFlags, report } from './compared.ts';
import { usageError } from './exit.ts';
import { readObjectFile } from './object-file.ts';
import { readObject } from './objects.ts';
import { renderRelease } from './render-release.ts';
import { withTarget } from './target-client.ts';
import { onInterrupt } from './watch-objects.ts';

const concurrentRequests = 8;

/** Throws a `CommandError` for what cannot be compared. */
export async function compareHelmRelease(kube: KubeClient, name: string, flags: DiffFlags): Promise<Compared> {
  if (flags.kustomizationFile !== undefined) throw usageError('--kustomization-file is for a Kustomization');
  const { signal } = onInterrupt();
  const { helmreleaseFile, namespace: given } = flags;
  const release = (
    helmreleaseFile
      ? await readObjectFile(helmreleaseFile, kinds.HelmRelease, name, given)
      : await readObject(kube, kinds.HelmRelease, given, name)
  ) as HelmRelease;
  const { releaseName, namespace } = releaseNamesOf(release);
  return await withTarget(kube, release, report, async (target) => {
    const { path: chartDirectory, values: valuesFiles = [], artifactAddress } = flags;
    const request = { release, kube, target, chartDirectory, valuesFiles, artifactAddress, signal, report };
    const { objects, crds, deployed, secrets, from } = await renderRelease(request);
    const marked = objects.map((object) => withHelmMarks(object, { name: releaseName, namespace }));
    const compared = await compareRelease({
      client: target,
      desired: [...crds, ...marked],
      deployed,
      fieldManager: helmManager,
      concurrency: concurrentRequests,
      signal,
    });
    return { ...compared, secrets, from };
  });
}
