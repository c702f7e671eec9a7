// The cluster that an object of ours applies to, as the account that it acts as: what a person sees of it by `continuo diff`.
import type { KubeConfigRef } from '../k8s/api/shared/reference.ts';
import { KubeApiError, type KubeClient } from '../k8s/client.ts';
import { type KubeObject, refOf } from '../k8s/object.ts';
import { createRemoteClusters } from '../k8s/remote-clusters.ts';
import { CommandError } from './exit.ts';

/** A Kustomization or a HelmRelease. */
export type Applier = KubeObject & { spec: { kubeConfig?: KubeConfigRef; serviceAccountName?: string } };

/**
 * Runs `work` with a client of `spec.kubeConfig`, or of the same cluster, that acts as `spec.serviceAccountName`. A person
 * who may not act as that account looks as himself, and is told so by `report`.
 */
export async function withTarget<T>(
  kube: KubeClient,
  applier: Applier,
  report: (line: string) => void,
  work: (client: KubeClient) => Promise<T>,
): Promise<T> {
  const { kubeConfig, serviceAccountName } = applier.spec;
  const { namespace = '' } = applier.metadata;
  const user = serviceAccountName && `system:serviceaccount:${namespace}:${serviceAccountName}`;
  if (!kubeConfig) return await work(user ? await actingAs(kube, user, applier, report) : kube);
  const remotes = createRemoteClusters({
    home: kube,
    references: {
      get: (kind, where, name) => kube.get({ group: '', version: 'v1', kind, namespace: where, name }),
    },
    // A stored kubeconfig must not start programs on the machine of whoever looks.
    rules: { isExecAllowed: false, isInsecureTlsAllowed: false },
    defaultServiceAccount: '',
  });
  try {
    const cluster = await remotes.open(namespace, kubeConfig);
    await cluster.reach();
    return await work(user ? await actingAs(cluster.client, user, applier, report) : cluster.client);
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'ClusterError') throw error;
    throw new CommandError(`the cluster of spec.kubeConfig cannot be looked at: ${error.message}`);
  } finally {
    await remotes.close();
  }
}

async function actingAs(
  client: KubeClient,
  user: string,
  applier: Applier,
  report: (line: string) => void,
): Promise<KubeClient> {
  const acting = client.impersonate(user);
  try {
    // Whether the account may read this does not matter: who may not be the account is refused in other words.
    await acting.get(refOf(applier), { metadataOnly: true });
  } catch (error) {
    if (error instanceof KubeApiError && error.status === 403 && /\bimpersonate\b/.test(error.message)) {
      report(`► you may not act as "${user}": compared with your own rights, which may be other ones`);
      return client;
    }
    if (!(error instanceof KubeApiError) || error.status !== 403) throw error;
  }
  return acting;
}
