// The stages of a source, alike for every kind: find the revision, check its signatures, archive it, clean up. What is
// particular to a kind is its driver. Everything large stays in the artifact store; results are a few hundred bytes.
import { Context } from '@temporalio/activity';
import type { SourceKind } from '../../k8s/flux-objects.ts';
import type { NamespacedName } from '../../k8s/object.ts';
import type { Artifact, ArtifactOwner, ArtifactStore } from '../artifact/artifact.ts';
import { failure } from '../errors.ts';
import type {
  ArchivedRevision,
  FetchedRevision,
  SourceDriver,
  SourceObject,
  VerifiedRevision,
} from './source-driver.ts';

/** A source object; in histories of before without its kind, which was GitRepository. */
export interface SourceRef extends NamespacedName {
  kind?: string;
}

/** What the stages need from outside. */
export interface SourceDeps {
  store: ArtifactStore;
  /** A kind without a driver is refused with a clear word. */
  drivers: Partial<Record<SourceKind, SourceDriver>>;
  /** The live object, or undefined when it is gone. */
  source(ref: NamespacedName & { kind: SourceKind }): Promise<SourceObject | undefined>;
  /** Tells that the stage is alive; called every two seconds. @default the heartbeat of the running activity */
  heartbeat?: () => void;
  /** Ends the stage. @default the cancellation of the running activity */
  signal?: () => AbortSignal;
}

export interface FetchRevisionInput {
  source: SourceRef;
  /** Generation that was observed; the stage reads the live object in any case. */
  generation: number;
}

export interface LaterStageInput extends FetchRevisionInput, Omit<FetchedRevision, 'isUnchanged'> {}

export interface CollectArtifactGarbageInput extends ArtifactOwner {
  /** The artifact that stays in any case. */
  current?: Artifact;
}

export interface SourceActivities {
  fetchRevision(input: FetchRevisionInput): Promise<FetchedRevision>;
  verifyRevision(input: LaterStageInput): Promise<VerifiedRevision>;
  archiveRevision(input: LaterStageInput): Promise<ArchivedRevision>;
  /** Deletes the artifacts of an object that is being deleted, and what its kind keeps beside them. */
  removeArtifacts(owner: SourceRef): Promise<void>;
  /** Applies retention (contract 1.0); gives the number of files removed. */
  collectArtifactGarbage(input: CollectArtifactGarbageInput): Promise<{ removedCount: number }>;
}

const heartbeatIntervalMs = 2_000;

export function createSourceActivities(deps: SourceDeps): SourceActivities {
  const { store } = deps;

  /** Runs a step of a kind's driver on the live object. */
  async function onLive<T>(
    ref: SourceRef,
    step: (driver: SourceDriver, object: SourceObject, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return await running(deps, async (signal) => {
      const { kind, namespace, name } = { ...ref, kind: kindOf(ref) };
      const driver = deps.drivers[kind];
      if (!driver) {
        throw failure('FeatureGateDisabled', `${kind} is not reconciled yet by this version of Continuo`);
      }
      const object = await deps.source({ kind, namespace, name });
      if (!object) throw failure('Failed', `${kind}/${namespace}/${name} does not exist any more`);
      return await step(driver, object, signal);
    });
  }

  return {
    fetchRevision: ({ source }) => onLive(source, (driver, object, signal) => driver.fetch(object, signal)),

    verifyRevision: ({ source, ...fetched }) =>
      onLive(source, async (driver, object, signal) => {
        if (driver.verify) return await driver.verify(object, { ...fetched, isUnchanged: false }, signal);
        throw failure('VerificationError', `signatures of a ${object.kind} cannot be checked: remove spec.verify`);
      }),

    archiveRevision: ({ source, ...fetched }) =>
      onLive(source, (driver, object, signal) => driver.archive(object, { ...fetched, isUnchanged: false }, signal)),

    async removeArtifacts(ref) {
      const { namespace, name } = ref;
      const kind = kindOf(ref);
      await store.removeAll({ kind, namespace, name });
      await deps.drivers[kind]?.remove?.({ namespace, name });
    },

    async collectArtifactGarbage({ current, kind, namespace, name }) {
      const removed = await store.collectGarbage({ kind, namespace, name }, current);
      return { removedCount: removed.length };
    },
  };
}

function kindOf({ kind = 'GitRepository' }: SourceRef): SourceKind {
  return kind as SourceKind;
}

/** Runs a stage with its heartbeat and cancellation. Outside of an activity both are as `deps` say, or absent. */
async function running<T>(deps: SourceDeps, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const activity = currentActivity();
  // A local activity has none: the workflow's own task tells that the worker lives.
  const heartbeat = deps.heartbeat ?? (() => (activity?.info.isLocal ? undefined : activity?.heartbeat()));
  const signal = deps.signal?.() ?? activity?.cancellationSignal ?? new AbortController().signal;
  const timer = setInterval(heartbeat, heartbeatIntervalMs);
  try {
    heartbeat();
    return await work(signal);
  } finally {
    clearInterval(timer);
  }
}

function currentActivity(): Context | undefined {
  try {
    return Context.current();
  } catch {
    return undefined; // not inside of an activity: a test, or the CLI
  }
}
