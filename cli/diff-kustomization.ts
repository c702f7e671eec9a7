// What a reconcile of a Kustomization would change: its build, compared as the engine applies it.
import { rivalRule } from '../activities/apply/claims.ts';
import { type Comparison, compareManifests } from '../activities/apply/compare-manifests.ts';
import type { KubeClient } from '../k8s/client.ts';
import { watchedKinds } from '../k8s/flux-objects.ts';
import { kustomizationOf } from './build-flags.ts';
import { type Compared, type DiffFlags, report } from './compared.ts';
import { usageError } from './exit.ts';
import { renderKustomization } from './render.ts';
import { withTarget } from './target-client.ts';
import { onInterrupt } from './watch-objects.ts';

/** Throws a `CommandError` for what cannot be compared. */
export async function compareKustomization(kube: KubeClient, name: string, flags: DiffFlags): Promise<Compared> {
  if (flags.values !== undefined) throw usageError('--values is for a HelmRelease');
  if (flags.helmreleaseFile !== undefined) throw usageError('--helmrelease-file is for a HelmRelease');
  const { signal } = onInterrupt();
  const { kustomization, inventory } = await kustomizationOf(kube, name, flags);
  const { objects, secrets, from } = await renderKustomization({
    kustomization,
    kube,
    directory: flags.path,
    artifactAddress: flags.artifactAddress,
    isStrict: flags.strictSubstitute,
    signal,
    report,
  });
  const { force, commonMetadata, ignore, prune } = kustomization.spec;
  const known = new Set(inventory.map(({ id }) => id));
  const rivalOf = rivalRule(kustomization, known, {
    kustomization: (ref) => kube.get({ ...watchedKinds.Kustomization, ...ref }),
  });
  const compare = (client: KubeClient): Promise<Comparison> =>
    compareManifests({
      client,
      owner: { kind: 'Kustomization', namespace: kustomization.metadata.namespace ?? '', name },
      objects,
      inventory,
      isPruned: prune,
      options: { force, commonMetadata, ignore, rivalOf },
      signal,
    });
  return { ...(await withTarget(kube, kustomization, report, compare)), secrets, from };
}
