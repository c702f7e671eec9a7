// What the apply engine takes and gives.
import type { KubeClient } from '../../k8s/client.ts';
import type { Change, InventoryEntry, KubeObject, ObjectRef } from '../../k8s/object.ts';
import type { WatchCaches } from '../../k8s/watch-cache.ts';
import type { RivalOf } from './claims.ts';
import type { IgnoreSpec } from './ignore-rules.ts';
import type { OwnerMemory } from './memory.ts';
import type { CommonMetadata } from './normalise.ts';
import type { ApplyOwner } from './owner.ts';

export interface ApplyOptions {
  /** `spec.force`: delete and create again what cannot be changed. Default false. */
  force: boolean;
  /** Take the full path for every object, whatever the memory says. Default false. */
  isForced: boolean;
  commonMetadata: CommonMetadata;
  ignore: readonly IgnoreSpec[];
  /** Requests at a time (`--concurrent-ssa`). Default 8. */
  concurrency: number;
  /** `--custom-apply-stage-kinds`: kinds, or `group/Kind`, of the third stage. */
  customStageKinds: readonly string[];
  /** `--override-manager`. */
  overrideManagers: readonly string[];
  /** How long CRDs and Namespaces may take to become usable. Default 60 s. */
  readyTimeoutMs: number;
  /** How long an object may take to go away before it is created again. Default 5 min. */
  deleteTimeoutMs: number;
  /** To whom an object is left that carries another owner's labels. Default: everything is taken over. */
  rivalOf?: RivalOf;
}

export const defaultApplyOptions: ApplyOptions = {
  force: false,
  isForced: false,
  commonMetadata: {},
  ignore: [],
  concurrency: 8,
  customStageKinds: [],
  overrideManagers: [],
  readyTimeoutMs: 60_000,
  deleteTimeoutMs: 300_000,
};

export interface ApplyRequest {
  /** Acts as the account of the owner. */
  client: KubeClient;
  /** Caches of the same cluster; without them every object takes the full path. */
  caches?: WatchCaches;
  owner: ApplyOwner;
  /** The built manifests. */
  objects: readonly KubeObject[];
  /** What was applied before; changed as objects are applied, so that it is right after a failure too. */
  memory: OwnerMemory;
  options?: Partial<ApplyOptions>;
  signal?: AbortSignal;
  /** Called after each step with the number of objects that are through. */
  onProgress?(done: number, total: number): void;
  /** Called with what is about to be written, before each stage's first write, which waits for it. */
  onWrite?(entries: InventoryEntry[]): Promise<void>;
}

export interface ApplyResult {
  /** One line an object, in the order of application. */
  changes: Change[];
  /** All objects of the set, skipped ones too. */
  inventory: InventoryEntry[];
  /** What health waits for: all but the skipped. */
  waitFor: ObjectRef[];
  /** Objects that carried another owner's labels before. */
  takenOver: Array<{ subject: string; from: string }>;
  /** Objects that were left to another owner, which has them in its source too. */
  yielded: Array<{ subject: string; to: string }>;
  /** Objects whose manifest is as before and that were put back, with who had changed what. */
  drifted: string[];
}
