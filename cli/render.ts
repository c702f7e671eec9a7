// Builds a Kustomization as a worker does, by the same functions: from the artifact of its source, or from a directory.
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Artifact, UnpackedArtifact, UnpackedArtifacts } from '../activities/artifact/artifact.ts';
import { createUnpackedArtifacts } from '../activities/artifact/unpack.ts';
import { buildObjects, planBuild } from '../activities/build/build-manifests.ts';
import { buildSpecOf } from '../activities/build/build-spec.ts';
import { loadDecryption } from '../activities/build/decryption/decryption.ts';
import { resolveSubstitution, substituteObjects } from '../activities/build/substitution/substitution.ts';
import { isReason, messageOf } from '../activities/errors.ts';
import { type Kind, kinds } from '../k8s/api/index.ts';
import type { Kustomization } from '../k8s/api/kustomization.ts';
import type { KubeClient } from '../k8s/client.ts';
import type { KubeObject } from '../k8s/object.ts';
import type { ReferencedObjects } from '../k8s/referenced-objects.ts';
import { ensureBinaries, findBinary } from '../tools/platform/binaries.ts';
import { CommandError } from './exit.ts';
import { findLocalPlace, openLocalArtifact } from './local-artifact.ts';
import { objectRefOf } from './kinds.ts';
import { readObject, subjectOfObject } from './objects.ts';
import { createSecretValues, type SecretValues } from './secret-values.ts';
import { noting, withoutKeys } from './shown-decryption.ts';
import { notingReferences } from './noting-references.ts';

export interface RenderRequest {
  kustomization: Kustomization;
  /**
   * The cluster with the source and with what the build refers to; undefined: none is asked, nothing is decrypted, and no
   * variable comes from a ConfigMap or a Secret.
   */
  kube: KubeClient | undefined;
  /** A directory that stands for `spec.path`; undefined: the artifact of the source, which needs a cluster. */
  directory?: string;
  /** `host[:port]` in place of the one in the artifact's URL. */
  artifactAddress?: string;
  /** Refuse variables that are not set and have no default, as a worker does. */
  isStrict: boolean;
  signal: AbortSignal;
  /** Takes a line for a person: of a tool that has to be fetched first. */
  report(line: string): void;
}

export interface Rendered {
  objects: KubeObject[];
  /** Values of Secrets and encrypted files, which may be anywhere in the objects. */
  secrets: SecretValues;
  /** The revision of the artifact, or the directory. */
  from: string;
}

const downloadTimeoutMs = 20_000;

/**
 * The objects that a reconcile would apply, as they are built: without owner labels, Secrets in plain text. Throws a
 * {@link CommandError} with the reason and the message that the condition would have.
 */
export async function renderKustomization(request: RenderRequest): Promise<Rendered> {
  // Decrypted files may come to lie here for the time of the build.
  const workDirectory = await realpath(await mkdtemp(join(tmpdir(), 'continuo-')));
  try {
    return await renderIn(request, workDirectory);
  } catch (error) {
    request.signal.throwIfAborted();
    if (error instanceof CommandError) throw error;
    const { type } = error as { type?: unknown };
    const reason = isReason(type) ? ` (${type})` : '';
    throw new CommandError(`${subjectOfObject(request.kustomization)} would fail${reason}: ${messageOf(error)}`);
  } finally {
    await rm(workDirectory, { recursive: true, force: true });
  }
}

async function renderIn(request: RenderRequest, workDirectory: string): Promise<Rendered> {
  const { kube, signal, report, isStrict } = request;
  const { kustomize } = await ensureBinaries(['kustomize'], { report, signal });
  const { kustomization, artifact, unpacked } = await inputOf(request, workDirectory);
  const secrets = createSecretValues();
  // Without a cluster, variables of ConfigMaps and Secrets are not known.
  const isKnown = kube !== undefined || !request.kustomization.spec.postBuild?.substituteFrom?.length;
  const options = {
    kustomizeBinary: kustomize,
    kustomizeVersion: '',
    noRemoteBases: false,
    temporaryDirectory: join(workDirectory, 'build'),
    references: kube ? notingReferences(kube, secrets) : noReferences,
    strictSubstitution: isStrict && isKnown,
    decryption: { sopsBinary: findBinary('sops') },
  };
  // As `buildKustomization` of a worker does it, but without a store, and with what is secret taken note of.
  const spec = buildSpecOf(kustomization);
  const files = await unpacked.get(artifact, signal);
  const keys = kube ? await loadDecryption(kustomization, options) : undefined;
  const decryption = keys ? noting(keys, secrets) : kustomization.spec.decryption && withoutKeys();
  const substitution = await resolveSubstitution(kustomization, options);
  const plan = planBuild(files, spec, options);
  const built = await buildObjects(files, spec, plan, options, signal, decryption);
  const objects = substitution ? await substituteObjects(built, substitution, signal) : built;
  return { objects, secrets, from: artifact.revision };
}

const noReferences: ReferencedObjects = { get: async () => undefined };

interface BuildSource {
  /** With the path as it is in the artifact. */
  kustomization: Kustomization;
  artifact: Pick<Artifact, 'digest' | 'url' | 'revision'>;
  unpacked: UnpackedArtifacts;
}

async function inputOf(request: RenderRequest, workDirectory: string): Promise<BuildSource> {
  const { kube, directory, artifactAddress } = request;
  const kustomization = kube ? request.kustomization : withoutReferences(request.kustomization);
  if (directory !== undefined) {
    const { root, path } = await findLocalPlace(directory, kustomization.spec.path);
    const local = await openLocalArtifact(root, kube && (await ignoreOfSource(kube, kustomization)));
    return {
      kustomization: { ...kustomization, spec: { ...kustomization.spec, path } },
      artifact: { digest: local.digest, url: '', revision: directory },
      unpacked: alwaysGiving(local),
    };
  }
  if (!kube)
    throw new CommandError('without a cluster there is no artifact to build from: give a directory with --path');
  const unpacked = createUnpackedArtifacts({
    directory: join(workDirectory, 'unpacked'),
    hostRewrite: artifactAddress,
    timeoutMs: downloadTimeoutMs,
    retries: 1,
  });
  return { kustomization, artifact: await artifactOf(kube, kustomization), unpacked: explaining(unpacked) };
}

/** What needs no cluster of a Kustomization. */
function withoutReferences(kustomization: Kustomization): Kustomization {
  const { substituteFrom: _, ...postBuild } = kustomization.spec.postBuild ?? {};
  return { ...kustomization, spec: { ...kustomization.spec, postBuild } };
}

/** The current artifact of the source (contract 2.1, steps 3 and 4). */
async function artifactOf(kube: KubeClient, { metadata, spec }: Kustomization): Promise<Artifact> {
  const { kind, name, namespace = metadata.namespace ?? '' } = spec.sourceRef;
  const source = await readObject(kube, kinds[kind], namespace, name);
  const { artifact } = (source.status ?? {}) as { artifact?: Artifact };
  if (artifact) return artifact;
  throw new CommandError(
    `${subjectOfObject(source)} has no artifact yet: see "continuo get ${kind.toLowerCase()} ${name} -n ${namespace}", ` +
      'or build a directory with --path',
  );
}

/** `spec.ignore` of the source, so that a directory is taken for what the source would make of it. */
async function ignoreOfSource(kube: KubeClient, { metadata, spec }: Kustomization): Promise<string | undefined> {
  const { kind, name, namespace = metadata.namespace ?? '' } = spec.sourceRef;
  const source = await kube.get(objectRefOf(kinds[kind satisfies Kind], { namespace, name }));
  return (source?.spec as { ignore?: string } | undefined)?.ignore;
}

function alwaysGiving(artifact: UnpackedArtifact): UnpackedArtifacts {
  return { get: async () => artifact, peek: () => artifact };
}

/** An artifact server is often reachable from within the cluster only: say what to do. */
function explaining(unpacked: UnpackedArtifacts): UnpackedArtifacts {
  return {
    ...unpacked,
    async get(artifact, signal) {
      try {
        return await unpacked.get(artifact, signal);
      } catch (error) {
        signal?.throwIfAborted();
        throw new CommandError(
          `${messageOf(error)}: where the artifact server cannot be reached from here, forward a port to it and name ` +
            'that with --artifact-address, or build a directory with --path',
        );
      }
    },
  };
}
