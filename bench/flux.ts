// The controllers of Flux in place of our worker, for the same load on the same machine.
import type { KubeClient } from '../k8s/client.ts';
import { installCrds } from '../k8s/install-crds.ts';
import { startKustomizeController, startSourceController } from '../test/servers/flux-controllers.ts';

export interface FluxEngine {
  pids: Record<string, number>;
  stop(): Promise<void>;
}

/** As many at a time as in Flux's published benchmark. */
const args = ['--concurrent=20', '--requeue-dependency=5s'];

/** Starts source-controller and kustomize-controller, with the CRDs that they need. */
export async function startFlux(client: KubeClient, kubeconfig: string): Promise<FluxEngine> {
  await installCrds(client, { info: () => {} });
  const source = await startSourceController({ kubeconfig, args });
  const kustomize = await startKustomizeController({ kubeconfig, args });
  return {
    pids: { 'source-controller': source.pid, 'kustomize-controller': kustomize.pid },
    async stop() {
      await Promise.all([source.stop(), kustomize.stop()]);
    },
  };
}
