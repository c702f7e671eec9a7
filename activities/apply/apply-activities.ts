// The activities of the apply stage. They take names and digests and give short lists: manifests and inventories lie in
// the artifact store. Status is not written here.
import {
  type Change,
  type ChangeAction,
  changeActions,
  type KubeObject,
  type NamespacedName,
} from '../../k8s/object.ts';
import type { Kustomization } from '../../k8s/api/kustomization.ts';
import { parseDuration } from '../../k8s/duration.ts';
import type { ArtifactStore } from '../artifact/artifact.ts';
import { failure, messageOf } from '../errors.ts';
import { applyManifests } from './apply-manifests.ts';
import type { ApplyOptions } from './apply-types.ts';
import { heirRule, inventoryEntriesOf, rivalRule } from './claims.ts';
import type { CommonMetadata } from './normalise.ts';
import type { IgnoreSpec } from './ignore-rules.ts';
import { applyKeyOf, inventoryDigest, ownerOfKustomization } from './in-sync.ts';
import { readInventory, writeInventory } from './inventory-blob.ts';
import { createApplyJournals } from './journal.ts';
import type { ApplyMemory } from './memory.ts';
import { awaitGone, pruneInventory, staleEntries } from './prune.ts';
import { joinErrors } from './refusals.ts';
import { type HealthyRevision, healthyRevisions, lastHealthyRevision, noRollbackTarget } from './rollback-target.ts';
import { type ApplyTarget, explainRefusal, openTarget, openTargetForDeletion, type TargetOf } from './target.ts';
import { asFailure, deadline, endings, startBeating } from './within-activity.ts';

export interface ApplyActivitiesDeps {
  /** The cluster of a Kustomization, as the account that its spec names. */
  targetOf: TargetOf;
  store: Pick<ArtifactStore, 'readBlob' | 'writeBlob' | 'removeBlob'>;
  memory: ApplyMemory;
  /** The Kustomization as it is now. */
  kustomization(ref: NamespacedName): Promise<KubeObject | undefined> | KubeObject | undefined;
  /** All Kustomizations, as memory has them. Without it nothing is handed over from one to another. */
  kustomizations?(): readonly KubeObject[];
  /** Built manifests by their digest. */
  manifests(digest: string): Promise<KubeObject[]>;
  /** Installation-wide options: concurrency, custom stage kinds, override managers. */
  options?: Partial<Pick<ApplyOptions, 'concurrency' | 'customStageKinds' | 'overrideManagers'>>;
}

/** Changes for a result: how many of each, and at most 100 lines of what was really changed. */
export interface ChangeSummary {
  counts: Record<ChangeAction, number>;
  /** `Deployment/apps/web configured` */
  lines: string[];
}

export interface ApplyManifestsInput {
  kustomization: NamespacedName;
  generation: number;
  revision: string;
  manifestsDigest: string;
  isForced: boolean;
  timeoutMs: number;
}

export interface ApplyManifestsOutput {
  changes: ChangeSummary;
  /** For `readInventory`. */
  inventoryKey: string;
  inventoryCount: number;
  /** How many objects that were applied before the new inventory does not have; 0 without `spec.prune`. */
  staleCount: number;
  /** With stale objects: the inventory as it is until they are pruned. */
  unprunedKey?: string;
  waitForCount: number;
  takenOver: Array<{ subject: string; from: string }>;
  /** Objects that were left to another Kustomization, `<namespace>/<name>`, which applies them too. */
  yielded?: Array<{ subject: string; to: string }>;
  drifted: string[];
}

export interface FindRollbackTargetInput {
  kustomization: NamespacedName;
  /** The manifests that have just failed. */
  failedDigest?: string;
  /** The revision that a person has named. */
  revision?: string;
}

/** Healthy manifests that the artifact store has. */
export interface RollbackTarget extends HealthyRevision {
  count: number;
}

export interface PruneInventoryInput {
  kustomization: NamespacedName;
  inventoryKey: string;
  timeoutMs: number;
}

export interface PruneInventoryOutput {
  changes: ChangeSummary;
  survivors: number;
  errors: string[];
  /** The inventory with the survivors put back in, when there are any: what the status is to carry. */
  inventoryKey: string;
}

export interface FinalizeKustomizationInput {
  kustomization: NamespacedName;
}

export interface FinalizeKustomizationOutput {
  changes: ChangeSummary;
  /** Why something was left; the finalizer is to be removed all the same (contract 2.1, "deletion"). */
  errors: string[];
}

const maxLines = 100;
const maxLineLength = 240;
/** A deleted object waits no longer for a cluster that is away (less, when its timeout is shorter). */
const maxPatienceMs = 60_000;

/** The activities; see {@link ApplyActivitiesDeps}. */
export function createApplyActivities(deps: ApplyActivitiesDeps) {
  const journals = createApplyJournals(deps.store);
  const claims = { ...deps, journals };
  return {
    /**
     * Applies built manifests. Fails with ReconciliationFailed (all errors, and the changes made before them); the
     * inventory of a failed pass is not written (contract 2.1, step 11).
     */
    async applyManifests(input: ApplyManifestsInput): Promise<ApplyManifestsOutput> {
      const kustomization = await mustFind(deps, input.kustomization);
      const owner = ownerOfKustomization(kustomization);
      const objects = await deps.manifests(input.manifestsDigest);
      const memory = await deps.memory.load(owner);
      const listed = inventoryEntriesOf(kustomization);
      const journal = await journals.open(owner, listed);
      const known = new Set([...listed, ...journal.entries()].map(({ id }) => id));
      const before = { applyKey: memory.applyKey, entries: new Map(memory.entries) };
      const target = await openTarget(deps.targetOf, kustomization);
      const end = deps.memory.begin(owner);
      const beat = startBeating('applied');
      memory.applyKey = '';
      try {
        const result = await applyManifests({
          client: target.client,
          caches: target.caches,
          owner,
          objects,
          memory,
          options: {
            ...deps.options,
            ...optionsOf(kustomization),
            isForced: input.isForced,
            rivalOf: rivalRule(kustomization, known, claims),
          },
          signal: deadline(input.timeoutMs, target),
          onProgress: beat.onProgress,
          onWrite: async (entries) => {
            // A worker that dies from here on must not leave a memory behind that says all was complete.
            if ((await journal.add(entries)) && before.applyKey) await deps.memory.save(owner);
          },
        });
        memory.applyKey = applyKeyOf(kustomization, input.manifestsDigest);
        memory.inventoryDigest = inventoryDigest(result.inventory);
        const isNew = before.applyKey !== memory.applyKey || hasChanged(before.entries, memory.entries);
        if (isNew) await deps.memory.save(owner);
        const applied = [...listed, ...journal.entries()];
        const stale = specOf(kustomization).prune ? staleEntries(applied, result.inventory) : [];
        const unpruned = [...result.inventory, ...stale];
        // Without prune, what left the source is forgotten (contract 2.1, "inventory").
        await journal.keep(unpruned);
        return {
          changes: summarise(result.changes),
          inventoryKey: await writeInventory(deps.store, owner, result.inventory),
          inventoryCount: result.inventory.length,
          staleCount: stale.length,
          unprunedKey: stale.length > 0 ? await writeInventory(deps.store, owner, unpruned) : undefined,
          waitForCount: result.waitFor.length,
          takenOver: result.takenOver.slice(0, maxLines),
          ...(result.yielded.length > 0 ? { yielded: result.yielded.slice(0, maxLines) } : {}),
          drifted: shorten(result.drifted),
        };
      } catch (error) {
        await deps.memory.save(owner).catch(() => {});
        throw asFailure(await explainRefusal(error, target), input.timeoutMs);
      } finally {
        beat.stop();
        end();
        target.release?.();
      }
    },

    /**
     * What a rollback would go back to: after a failure (`failedDigest`) the last healthy revision, by hand the one before
     * the present, or the one that is named. Undefined after a failure when there is none; by hand that is RollbackFailed.
     */
    async findRollbackTarget(input: FindRollbackTargetInput): Promise<RollbackTarget | undefined> {
      const object = (await mustFind(deps, input.kustomization)) as Kustomization;
      const { failedDigest, revision } = input;
      const found =
        failedDigest === undefined ? healthyRevisions(object, revision) : [lastHealthyRevision(object, failedDigest)];
      for (const target of found) {
        const objects = target && (await deps.manifests(target.manifestsDigest).catch(() => undefined));
        if (target && objects) return { ...target, count: objects.length };
      }
      if (failedDigest === undefined) throw noRollbackTarget(object, revision);
      return undefined;
    },

    /** Deletes what was applied before and the new inventory has not. Errors are values: the survivors stay listed. */
    async pruneInventory(input: PruneInventoryInput): Promise<PruneInventoryOutput> {
      const kustomization = await mustFind(deps, input.kustomization);
      const owner = ownerOfKustomization(kustomization);
      const current = await readInventory(deps.store, input.inventoryKey);
      const listed = inventoryEntriesOf(kustomization);
      const journal = await journals.open(owner, listed);
      const stale = staleEntries([...listed, ...journal.entries()], current);
      const target = await openTarget(deps.targetOf, kustomization);
      const end = deps.memory.begin(owner);
      const beat = startBeating('pruned');
      try {
        const { changes, survivors, errors } = await pruneInventory({
          client: target.client,
          caches: target.caches,
          owner,
          stale,
          concurrency: deps.options?.concurrency,
          customStageKinds: deps.options?.customStageKinds,
          heirOf: heirRule(kustomization, claims),
          signal: deadline(input.timeoutMs, target),
          onProgress: beat.onProgress,
        });
        await journal.keep([...current, ...survivors]);
        const inventoryKey =
          survivors.length > 0
            ? await writeInventory(deps.store, owner, [...current, ...survivors])
            : input.inventoryKey;
        const told = shorten(errors.map(messageOf));
        return { changes: summarise(changes), survivors: survivors.length, errors: told, inventoryKey };
      } catch (error) {
        throw asFailure(error, input.timeoutMs, 'PruneFailed');
      } finally {
        beat.stop();
        end();
        target.release?.();
      }
    },

    /**
     * Deletes what a deleted Kustomization leaves behind, by its deletionPolicy (contract 2.1, "deletion"). Fails with
     * PruneFailed while something cannot be deleted.
     */
    async finalizeKustomization(input: FinalizeKustomizationInput): Promise<FinalizeKustomizationOutput> {
      const kustomization = await deps.kustomization(input.kustomization);
      const nothing = { changes: summarise([]), errors: [] as string[] };
      if (!kustomization) return nothing;
      const owner = ownerOfKustomization(kustomization);
      const spec = specOf(kustomization);
      const listed = inventoryEntriesOf(kustomization);
      const journal = await journals.open(owner, listed);
      const entries = [...listed, ...journal.entries()];
      const policy = spec.deletionPolicy ?? 'MirrorPrune';
      const isOrphaned = policy === 'Orphan' || (policy === 'MirrorPrune' && !spec.prune);
      let target: ApplyTarget | undefined;
      const end = deps.memory.begin(owner);
      const beat = startBeating('deleted');
      try {
        await deps.memory.remove(owner).catch(() => {});
        if (isOrphaned || spec.suspend || entries.length === 0) {
          await journal.keep([]);
          return nothing;
        }
        const opened = await openTargetForDeletion(deps.targetOf, kustomization);
        if ('message' in opened) {
          // The object must not hang for ever on a cluster or an account that may never come back.
          const message = `nothing was deleted: ${opened.message}`;
          if (opened.isAway && !isPatienceOver(kustomization)) throw failure('PruneFailed', message);
          return { ...nothing, errors: [message] };
        }
        target = opened;
        const signal = AbortSignal.any(endings(target));
        const request = { client: target.client, caches: target.caches, owner, stale: entries, signal };
        const { changes, errors, deleted } = await pruneInventory({
          ...request,
          ...deps.options,
          heirOf: heirRule(kustomization, claims),
          onProgress: beat.onProgress,
        });
        if (errors.length > 0) throw joinErrors(errors, summarise(changes).lines, 'PruneFailed');
        await journal.keep([]);
        const told: string[] = [];
        if (policy === 'WaitForTermination') {
          const timeoutMs = finalizeTimeoutMs(spec);
          const left = await awaitGone(request, deleted, timeoutMs);
          if (left.length > 0) told.push(`not gone after ${timeoutMs / 1000}s: ${left.slice(0, 20).join(', ')}`);
        }
        return { changes: summarise(changes), errors: told };
      } catch (error) {
        throw asFailure(error, 0, 'PruneFailed');
      } finally {
        beat.stop();
        end();
        target?.release?.();
      }
    },
  };
}

/** The activities' type, for `proxyActivities`. */
export type ApplyActivities = ReturnType<typeof createApplyActivities>;

interface KustomizationSpec {
  prune?: boolean;
  suspend?: boolean;
  force?: boolean;
  timeout?: string;
  interval?: string;
  deletionPolicy?: 'MirrorPrune' | 'Delete' | 'WaitForTermination' | 'Orphan';
  commonMetadata?: CommonMetadata;
  ignore?: IgnoreSpec[];
}

function specOf(kustomization: KubeObject): KustomizationSpec {
  return kustomization.spec ?? {};
}

function optionsOf(kustomization: KubeObject): Partial<ApplyOptions> {
  const { force = false, commonMetadata = {}, ignore = [] } = specOf(kustomization);
  return { force, commonMetadata, ignore };
}

/** Entries are replaced and never changed, so comparing them by identity is enough. */
function hasChanged(before: ReadonlyMap<string, unknown>, after: ReadonlyMap<string, unknown>): boolean {
  return before.size !== after.size || [...after].some(([id, entry]) => before.get(id) !== entry);
}

async function mustFind(deps: ApplyActivitiesDeps, ref: NamespacedName): Promise<KubeObject> {
  const found = await deps.kustomization(ref);
  if (found) return found;
  throw failure('ReconciliationFailed', `Kustomization/${ref.namespace}/${ref.name} no longer exists`);
}

/** True when an object has waited long enough for its cluster to come back, so that it goes without it. */
function isPatienceOver(kustomization: KubeObject): boolean {
  const deletedAtMs = Date.parse(kustomization.metadata.deletionTimestamp ?? '');
  const patienceMs = Math.min(finalizeTimeoutMs(specOf(kustomization)), maxPatienceMs);
  return Number.isNaN(deletedAtMs) || Date.now() - deletedAtMs >= patienceMs;
}

/** `spec.timeout`, else the interval less 30 s, and never less than 30 s (contract 1.8). */
function finalizeTimeoutMs(spec: KustomizationSpec): number {
  if (spec.timeout) return parseDuration(spec.timeout);
  return Math.max(30_000, parseDuration(spec.interval ?? '0') - 30_000);
}

/** Counts of all changes, and the lines that fit. */
export function summarise(changes: readonly Change[]): ChangeSummary {
  const counts = Object.fromEntries(changeActions.map((action) => [action, 0])) as Record<ChangeAction, number>;
  for (const { action } of changes) counts[action]++;
  const told = changes
    .filter(({ action }) => action !== 'unchanged' && action !== 'skipped')
    .map(({ subject, action }) => `${subject} ${action}`);
  return { counts, lines: shorten(told) };
}

function shorten(lines: readonly string[]): string[] {
  const shown = lines
    .slice(0, maxLines)
    .map((line) => (line.length > maxLineLength ? `${line.slice(0, maxLineLength)}…` : line));
  if (lines.length > maxLines) shown.push(`and ${lines.length - maxLines} more`);
  return shown;
}
