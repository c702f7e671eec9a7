// ConfigMaps and Secrets that objects of ours refer to: values for substitution, keys for decryption, kubeconfigs.
import type { KubeObject } from './object.ts';

export type ReferencedKind = 'ConfigMap' | 'Secret';

/** Reads what objects of ours refer to, as it is now. */
export interface ReferencedObjects {
  /**
   * The object, or undefined when it does not exist. An object with the watch label (`reconcile.fluxcd.io/watch:
   * Enabled`) is answered from memory; any other costs one request. Rejects with `KubeApiError`.
   */
  get(kind: ReferencedKind, namespace: string, name: string): Promise<KubeObject | undefined>;
}
