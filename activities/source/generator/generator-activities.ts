// The stage of an ArtifactGenerator: parts of its sources become artifacts, each with an ExternalArtifact that names it
// (contract 1.6, 1.7). May be stopped anywhere and run again: what is in place is not made again, and what is gone from the
// spec is found by the inventory and by the label that every ExternalArtifact of ours carries.
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import type { ArtifactGenerator } from '../../../k8s/api/artifact-generator.ts';
import type { ExternalArtifact } from '../../../k8s/api/external-artifact.ts';
import { type KubeClient, KubeApiError } from '../../../k8s/client.ts';
import type { FluxObjects } from '../../../k8s/flux-objects.ts';
import type { NamespacedName } from '../../../k8s/object.ts';
import { refOf } from '../../../k8s/object.ts';
import type { Artifact, ArtifactStore, UnpackedArtifacts } from '../../artifact/artifact.ts';
import { extractTarball } from '../../artifact/extract.ts';
import { failure, messageOf, type Reason } from '../../errors.ts';
import type { EventRecorder } from '../../event/recorder.ts';
import type { GeneratorSource, GeneratorSources } from '../../observe/generator-sources.ts';
import type { ObjectWriter } from '../../status/status-activities.ts';
import { assemble } from './assemble.ts';
import { externalArtifactOf, externalArtifactStatus, generatorFieldManager, isMadeBy } from './external-artifact.ts';
import type { MapYaml } from './merge-yaml.ts';
import { type PlannedOutput, planOutputs } from './path-pattern.ts';
import { createSourceTree, type SourceTree } from './source-tree.ts';
import { specProblem } from './spec-problem.ts';
import { defaultStagingLimits, type Staging } from './staging.ts';

export interface GeneratorDependencies {
  client: Pick<KubeClient, 'apply' | 'delete' | 'get'>;
  objects: Pick<FluxObjects, 'get' | 'list' | 'learn'>;
  writer: ObjectWriter;
  events: Pick<EventRecorder, 'record'>;
  store: ArtifactStore;
  unpacked: UnpackedArtifacts;
  yaml: MapYaml;
  /** The artifacts of the sources, or what is in the way of them. */
  sourcesOf(object: ArtifactGenerator): Promise<GeneratorSources>;
  /** An empty directory that only this process may read; it is removed when the stage ends. */
  makeDirectory(): Promise<string>;
}

export interface GenerateInput {
  generator: NamespacedName;
  generation: number;
}

/** Enters histories. */
export interface GeneratedArtifacts {
  /** All was in place already. */
  isUnchanged: boolean;
  sourcesDigest: string;
  count: number;
  /** e.g. `ExternalArtifact/apps/web created`, at most 20. */
  changed: string[];
}

const toldLines = 20;
const originRevision = 'org.opencontainers.image.revision';

export type GeneratorActivities = ReturnType<typeof createGeneratorActivities>;

export function createGeneratorActivities(deps: GeneratorDependencies) {
  const { client, objects, writer, events, store } = deps;
  const find = async (ref: NamespacedName): Promise<ArtifactGenerator | undefined> =>
    (await objects.get('ArtifactGenerator', ref)) as ArtifactGenerator | undefined;

  const findExternal = async (namespace: string, name: string): Promise<ExternalArtifact | undefined> =>
    (await objects.get('ExternalArtifact', { namespace, name })) as ExternalArtifact | undefined;

  const ownedBy = (generator: ArtifactGenerator): ExternalArtifact[] =>
    (objects.list('ExternalArtifact') as ExternalArtifact[]).filter(
      (one) => one.metadata.namespace === generator.metadata.namespace && isMadeBy(one, generator),
    );

  /** Nothing that artifacts are made from has changed, and all of them are as the inventory says. */
  const isInPlace = async (generator: ArtifactGenerator, sourcesDigest: string): Promise<boolean> => {
    const { metadata, status } = generator;
    const ready = status?.conditions?.find(({ type }) => type === 'Ready');
    if (ready?.status !== 'True' || ready.observedGeneration !== metadata.generation) return false;
    if (status?.observedSourcesDigest !== sourcesDigest) return false;
    const inventory = status.inventory ?? [];
    if (ownedBy(generator).length !== inventory.length) return false;
    for (const { namespace, name, digest } of inventory) {
      const external = await findExternal(namespace, name);
      const artifact = external?.status?.artifact;
      if (!external || !artifact || !isMadeBy(external, generator)) return false;
      if (artifact.digest !== digest || artifact.url !== store.urlOf(artifact.path)) return false;
      if (!(await store.verify(artifact))) return false;
    }
    return true;
  };

  /** Another generator that lives may have made an object of the same name: neither takes it from the other. */
  const checkOwner = async (external: ExternalArtifact, generator: ArtifactGenerator): Promise<void> => {
    const { namespace = '' } = external.metadata;
    const { kind, name = '' } = external.spec?.sourceRef ?? {};
    if (kind !== 'ArtifactGenerator' || isMadeBy(external, generator)) return;
    const other = await find({ namespace, name });
    if (!other || !isMadeBy(external, other)) return;
    const subject = `ExternalArtifact/${namespace}/${external.metadata.name}`;
    throw failure('ReconciliationFailed', `${subject} belongs to ArtifactGenerator/${namespace}/${name}: rename one`);
  };

  /** Publishes what was put together, unless it is in the store already. */
  const publish = async (
    namespace: string,
    output: PlannedOutput,
    staging: Staging,
    sources: readonly GeneratorSource[],
    before: Artifact | undefined,
  ): Promise<Artifact> => {
    const contentDigest = staging.contentDigest();
    const fileName = `${contentDigest}.tar.gz`;
    const aliased = (ref: string | undefined): GeneratorSource | undefined =>
      ref === undefined ? undefined : sources.find(({ alias }) => alias === ref.slice(1));
    const revision = aliased(output.revision)?.artifact.revision ?? `latest@sha256:${contentDigest}`;
    const origin = aliased(output.originRevision)?.artifact.originRevision;
    const owner = { kind: 'ExternalArtifact', namespace, name: output.name };
    const isStored = before?.path.endsWith(`/${fileName}`) === true && (await store.verify(before));
    const published = isStored ? before : await store.publish(owner, fileName, revision, staging.files());
    const { metadata, ...artifact } = { ...published, url: store.urlOf(published.path), revision };
    const isNews = isStored && (revision !== before.revision || origin !== metadata?.[originRevision]);
    return {
      ...artifact,
      ...(isNews ? { lastUpdateTime: new Date().toISOString().replace(/\.\d+Z$/, 'Z') } : {}),
      ...(origin ? { metadata: { [originRevision]: origin } } : {}),
    };
  };

  /** Applies the object and writes its status; the event is what alerts match. */
  const tell = async (
    generator: ArtifactGenerator,
    output: PlannedOutput,
    artifact: Artifact,
  ): Promise<'created' | 'configured' | 'unchanged'> => {
    const { namespace = '' } = generator.metadata;
    const existing = await findExternal(namespace, output.name);
    const wanted = externalArtifactOf(generator, output.name, output.labels);
    const applied = (await client.apply(wanted, {
      fieldManager: generatorFieldManager,
      force: true,
    })) as ExternalArtifact;
    objects.learn(applied);
    const before = applied.status?.artifact;
    const isNew = before?.digest !== artifact.digest || before.revision !== artifact.revision;
    await writer.writeStatus(applied, externalArtifactStatus(applied, artifact));
    if (isNew) {
      events.record({
        object: applied,
        type: 'Normal',
        reason: 'Ready',
        message: `Artifact is ready: revision '${artifact.revision}'`,
        annotations: {
          'source.toolkit.fluxcd.io/revision': artifact.revision,
          'source.toolkit.fluxcd.io/digest': artifact.digest,
        },
        component: generatorFieldManager,
      });
    }
    if (!existing) return 'created';
    return isNew ? 'configured' : 'unchanged';
  };

  /** Deletes the ExternalArtifacts that a generator has made, and their files, except those that it still makes. */
  const removeOthers = async (generator: ArtifactGenerator, kept: ReadonlySet<string>): Promise<string[]> => {
    const { namespace = '' } = generator.metadata;
    const listed = (generator.status?.inventory ?? []).filter((entry) => entry.namespace === namespace);
    const names = new Set([...listed, ...ownedBy(generator).map(({ metadata }) => metadata)].map(({ name }) => name));
    const removed: string[] = [];
    for (const name of names) {
      if (kept.has(name)) continue;
      const ref = { group: 'source.toolkit.fluxcd.io', version: 'v1', kind: 'ExternalArtifact', namespace, name };
      const external = (await client.get(ref)) as ExternalArtifact | undefined;
      if (external && !isMadeBy(external, generator)) continue; // somebody else's by now, and so are its files
      if (external) await client.delete(refOf(external), { uid: external.metadata.uid });
      await store.removeAll({ kind: 'ExternalArtifact', namespace, name });
      removed.push(name);
    }
    return removed;
  };

  /** The sources, downloaded and unpacked, by their aliases. */
  const unpack = async (sources: readonly GeneratorSource[], signal: AbortSignal): Promise<Map<string, SourceTree>> => {
    const trees = new Map<string, SourceTree>();
    for (const { alias, subject, artifact } of sources) {
      const unpacked = await deps.unpacked
        .get(artifact, signal)
        .catch((error: unknown) => rethrow('SourceFetchFailed', `source @${alias} (${subject})`, error, signal));
      trees.set(alias, createSourceTree(unpacked));
    }
    return trees;
  };

  const generate = async (
    generator: ArtifactGenerator,
    { sources, digest: sourcesDigest }: { sources: GeneratorSource[]; digest: string },
    directory: string,
    signal: AbortSignal,
  ): Promise<GeneratedArtifacts> => {
    const { namespace = '' } = generator.metadata;
    const trees = await unpack(sources, signal);
    const treeOf = (alias: string): SourceTree => {
      const tree = trees.get(alias);
      if (!tree) throw failure('ValidationFailed', `spec.sources has no alias "${alias}"`);
      return tree;
    };
    const extract = createExtract(directory, signal);
    const outputs = planOutputs(generator.spec, treeOf);
    const lines: string[] = [];
    const inventory: NonNullable<NonNullable<ArtifactGenerator['status']>['inventory']> = [];
    for (const output of outputs) {
      signal.throwIfAborted();
      const subject = `artifact "${output.name}"`;
      const existing = await findExternal(namespace, output.name);
      if (existing) await checkOwner(existing, generator);
      const own = sources.find((one) => one.subject === `ExternalArtifact/${namespace}/${output.name}`);
      if (own) throw failure('BuildFailed', `${subject} would replace its own source @${own.alias}: rename it`);
      const staging = await assemble(output.copy, { treeOf, extract, yaml: deps.yaml, signal }).catch(
        (error: unknown) => rethrow('BuildFailed', subject, error, signal),
      );
      const artifact = await publish(namespace, output, staging, sources, existing?.status?.artifact);
      const action = await tell(generator, output, artifact).catch((error: unknown) =>
        rethrow('ReconciliationFailed', `ExternalArtifact/${namespace}/${output.name}`, error, signal),
      );
      if (action !== 'unchanged') lines.push(`ExternalArtifact/${namespace}/${output.name} ${action}`);
      const filename = artifact.path.split('/').at(-1) ?? '';
      inventory.push({ name: output.name, namespace, digest: artifact.digest, filename });
      await store.collectGarbage({ kind: 'ExternalArtifact', namespace, name: output.name }, artifact);
    }
    const removed = await removeOthers(generator, new Set(outputs.map(({ name }) => name))).catch((error: unknown) =>
      rethrow('ReconciliationFailed', 'artifacts that are gone from the spec cannot be deleted', error, signal),
    );
    lines.push(...removed.map((name) => `ExternalArtifact/${namespace}/${name} deleted`));
    const now = (await find({ namespace, name: generator.metadata.name })) ?? generator;
    await writer.writeStatus(now, { ...now.status, inventory });
    return { isUnchanged: false, sourcesDigest, count: outputs.length, changed: lines.slice(0, toldLines) };
  };

  return {
    /**
     * Fails with AccessDenied, SourceFetchFailed, ValidationFailed, BuildFailed, ReconciliationFailed, and those of the
     * store. Ends at once when it is cancelled.
     */
    async generateArtifacts({ generator: ref }: GenerateInput): Promise<GeneratedArtifacts> {
      const signal = Context.current().cancellationSignal;
      const generator = await find(ref);
      if (!generator) throw failure('ReconciliationFailed', `ArtifactGenerator/${ref.namespace}/${ref.name} is gone`);
      const problem = specProblem(generator);
      if (problem) throw failure('ValidationFailed', problem);
      const found = await deps.sourcesOf(generator);
      if ('reason' in found) {
        const { reason, message, retryInMs } = found;
        throw failure(reason as Reason, message, { retryInMs });
      }
      if ('awaitMs' in found) throw failure('SourceFetchFailed', found.awaiting, { retryInMs: found.awaitMs });
      if (await isInPlace(generator, found.digest)) {
        const count = generator.status?.inventory?.length ?? 0;
        return { isUnchanged: true, sourcesDigest: found.digest, count, changed: [] };
      }
      const directory = await deps.makeDirectory();
      try {
        return await generate(generator, found, directory, signal);
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
    },

    /** Deletes what a generator that is being deleted has made. */
    async removeGeneratedArtifacts(ref: NamespacedName): Promise<void> {
      const generator = await find(ref);
      if (generator) await removeOthers(generator, new Set());
    },
  };
}

/** Unpacks each tarball once a run, all of them within the limits of one artifact. */
function createExtract(directory: string, signal: AbortSignal) {
  const known = new Map<string, SourceTree>();
  const left = { ...defaultStagingLimits };
  return async (tarball: string, digest: string): Promise<SourceTree> => {
    const before = known.get(digest);
    if (before) return before;
    const target = join(directory, digest);
    await mkdir(target, { mode: 0o700 });
    const { files, sizeBytes } = await extractTarball(tarball, target, left, signal);
    left.maxFiles -= files.size;
    left.maxBytes -= sizeBytes;
    const tree = createSourceTree({ directory: target, files });
    known.set(digest, tree);
    return tree;
  };
}

/** Says what failed, under the reason of the step; what the API server may get over by itself is tried again. */
function rethrow(reason: Reason, subject: string, error: unknown, signal: AbortSignal): never {
  signal.throwIfAborted();
  const isTransient = error instanceof KubeApiError && error.isTransient;
  const isOurs = error instanceof Error && error.name === 'ApplicationFailure' && reason === 'ReconciliationFailed';
  if (isOurs) throw error;
  throw failure(reason, `${subject}: ${messageOf(error)}`, { cause: error, isTransient });
}
