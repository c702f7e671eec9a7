// OCIRepository: which artifact of a registry spec.ref selects, and one of its layers as the artifact (contract 1.2).
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { OCIRepository, OCIRepositorySpec } from '../../../k8s/api/oci-repository.ts';
import { parseDuration } from '../../../k8s/duration.ts';
import { refOf } from '../../../k8s/object.ts';
import type { ArtifactOwner, ArtifactStore } from '../../artifact/artifact.ts';
import { failure, messageOf, type Reason } from '../../errors.ts';
import type { ArchivedRevision, FetchedRevision, SourceDriver } from '../source-driver.ts';
import { isStored } from '../stored.ts';
import { withExtractedLayer } from './extract-layer.ts';
import { type RegistryAccess, type RegistryAccessDeps, registryAccessOf } from './registry-access.ts';
import type { PulledManifest } from './registry-client.ts';
import { registryFailure } from './registry-error.ts';
import { imageOfIndex, isIndex, selectLayer } from './select-layer.ts';
import { planReference, selectTag } from './select-reference.ts';
import type { PublicRoot } from './verify/public-root.ts';
import { verifyOciArtifact } from './verify/verify-oci-artifact.ts';

/** What the driver needs from outside. */
export interface OciSourceDeps extends RegistryAccessDeps {
  store: ArtifactStore;
  publicRoot: PublicRoot;
  /** Layers are unpacked under `<dataDirectory>/oci`. */
  dataDirectory: string;
  /** Largest layer, as it is stored in the registry. @default 1 GiB */
  maxLayerBytes?: number;
  /** Largest layer once it is unpacked. @default 1 GiB */
  maxUnpackedBytes?: number;
  /** Most files and directories of a layer. @default 100000 */
  maxFiles?: number;
}

const gibibyte = 1024 ** 3;

export function createOciSource(deps: OciSourceDeps): SourceDriver<OCIRepository> {
  const { store, maxLayerBytes = gibibyte, maxUnpackedBytes = gibibyte, maxFiles = 100_000 } = deps;

  return {
    fetch: (object, signal) =>
      bounded(object, signal, async (within) => {
        const access = await registryAccessOf(object.spec, namespaceOf(object), deps, within);
        const { tag, digest } = await resolve(access, object.spec, within);
        const revision = tag === undefined ? digest : `${tag}@${digest}`;
        const isUnchanged = isShapedAlike(object) && isVerified(object) && (await isStored(store, object, revision));
        return { revision, isUnchanged, needsVerification: object.spec.verify !== undefined, found: { digest } };
      }),

    verify: (object, fetched, signal) =>
      bounded(object, signal, async (within) => {
        const { verify } = object.spec;
        if (!verify) return { message: '', isIgnored: true }; // taken out of the spec meanwhile
        const namespace = namespaceOf(object);
        const { client, repository } = await registryAccessOf(object.spec, namespace, deps, within);
        const digest = digestOf(fetched);
        const subject = `revision ${fetched.revision}`;
        const { readSecret, publicRoot } = deps;
        return await verifyOciArtifact({
          client,
          repository,
          digest,
          signal: within,
          verify,
          namespace,
          readSecret,
          publicRoot,
          subject,
        });
      }),

    archive: (object, fetched, signal) =>
      bounded(object, signal, async (within) => {
        const { spec, status } = object;
        const access = await registryAccessOf(spec, namespaceOf(object), deps, within);
        const { manifest } = await pullImage(access, digestOf(fetched), within);
        const { repository, client } = access;
        const layer = operated(`artifact "${nameOf(access)}@${digestOf(fetched)}"`, () =>
          selectLayer(manifest, spec.layerSelector?.mediaType),
        );
        if (layer.size > maxLayerBytes) {
          const message = `the layer ${layer.digest} has ${layer.size} bytes, more than the ${maxLayerBytes} allowed`;
          throw failure('OCIArtifactLayerOperationFailed', message);
        }
        const owner: ArtifactOwner = { kind: object.kind, namespace: namespaceOf(object), name: object.metadata.name };
        const fileName = `${digestOf(fetched).split(':').at(-1)}.tar.gz`;
        const content = pulled(
          client.blob(repository, layer.digest, within, layer.size),
          layer.size,
          `layer of "${nameOf(access)}"`,
        );

        const stored =
          spec.layerSelector?.operation === 'copy'
            ? {
                artifact: await store.publishContent(owner, fileName, fetched.revision, content),
                fileCount: 1,
                sizeBytes: layer.size,
              }
            : await withExtractedLayer(
                content,
                {
                  directory: join(deps.dataDirectory, 'oci'),
                  limits: { maxFiles, maxBytes: maxUnpackedBytes },
                  ignore: spec.ignore,
                  signal: within,
                },
                async ({ files, sizeBytes }) => ({
                  artifact: await store.publish(owner, fileName, fetched.revision, files),
                  fileCount: files.length,
                  sizeBytes,
                }),
              );
        const { annotations } = manifest;
        const artifact = { ...stored.artifact, ...(annotations && { metadata: annotations }) };
        return {
          ...stored,
          artifact,
          isNew: artifact.digest !== status?.artifact?.digest,
          message: eventMessage(spec.url, fetched.revision, annotations),
          conditionMessage: `stored artifact for digest '${fetched.revision}'`,
          observed: { ...observedOf(spec), url: await store.link(owner, 'latest.tar.gz', artifact) },
        };
      }),
  };
}

function namespaceOf(object: OCIRepository): string {
  return refOf(object).namespace;
}

function nameOf({ host, repository }: RegistryAccess): string {
  return `${host}/${repository}`;
}

function digestOf({ found }: FetchedRevision): string {
  if (found?.['digest']) return found['digest'];
  throw failure('OCIArtifactPullFailed', 'the fetch stage found no digest');
}

/** Asks the registry as little as the reference needs: nothing for a digest, one HEAD for a tag. */
async function resolve(
  access: RegistryAccess,
  spec: OCIRepositorySpec,
  signal: AbortSignal,
): Promise<{ tag?: string; digest: string }> {
  const { client, repository } = access;
  const plan = operatedWith('OCIArtifactPullFailed', () => planReference(spec.ref));
  if (plan.type === 'digest') return { digest: plan.digest };
  let tag: string;
  if (plan.type === 'tag') tag = plan.tag;
  else {
    const { range, filter } = plan;
    const what = `failed to determine the artifact tag for '${spec.url}'`;
    const tags = await client.tags(repository, signal).catch((error: unknown) => {
      throw registryFailure(error, 'ReadOperationFailed', what);
    });
    tag = operatedWith('ReadOperationFailed', () => selectTag(tags, range, filter), `${what}: `);
  }
  const { digest } = await client.resolve(repository, tag, signal).catch((error: unknown) => {
    throw registryFailure(error, 'OCIArtifactPullFailed', 'failed to determine artifact digest');
  });
  return { tag, digest };
}

/** The manifest of an image; of an index that of its image for linux/amd64. */
async function pullImage(access: RegistryAccess, digest: string, signal: AbortSignal): Promise<PulledManifest> {
  const { client, repository } = access;
  const what = `failed to pull artifact from 'oci://${nameOf(access)}'`;
  try {
    const top = await client.manifest(repository, digest, signal);
    if (!isIndex(top.manifest)) return top;
    const image = operatedWith('OCIArtifactPullFailed', () => imageOfIndex(top.manifest), `${what}: `);
    return await client.manifest(repository, image.digest, signal);
  } catch (error) {
    throw registryFailure(error, 'OCIArtifactPullFailed', what);
  }
}

/** Turns what a download throws into a failure; one that is shorter than its manifest says is none either. */
async function* pulled(
  content: AsyncIterable<Uint8Array>,
  expectedBytes: number,
  what: string,
): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0;
  try {
    for await (const chunk of content) {
      sizeBytes += chunk.byteLength;
      yield chunk;
    }
  } catch (error) {
    throw registryFailure(error, 'OCIArtifactPullFailed', `failed to pull ${what}`);
  }
  if (sizeBytes === expectedBytes) return;
  const message = `failed to pull ${what}: the manifest says that it has ${expectedBytes} bytes, it has ${sizeBytes}`;
  throw failure('OCIArtifactPullFailed', message);
}

function operated<T>(subject: string, work: () => T): T {
  return operatedWith('OCIArtifactLayerOperationFailed', work, `${subject}: `);
}

/** Turns an error of a pure rule into a failure. */
function operatedWith<T>(reason: Reason, work: () => T, prefix = ''): T {
  try {
    return work();
  } catch (error) {
    throw failure(reason, `${prefix}${messageOf(error)}`, { cause: error });
  }
}

/** Runs a stage within spec.timeout. */
async function bounded<T>(
  { spec }: OCIRepository,
  signal: AbortSignal,
  work: (within: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const timeoutMs = parseDuration(spec.timeout ?? '60s');
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    return await work(AbortSignal.any([signal, timeout]));
  } catch (error) {
    signal.throwIfAborted();
    if (!timeout.aborted) throw error;
    throw failure(
      'OCIArtifactPullFailed',
      `"${spec.url}" did not answer in full within ${timeoutMs / 1000}s: the limit is spec.timeout`,
    );
  }
}

/** The artifact in the status was made by the fields of now. */
function isShapedAlike({ spec, status = {} }: OCIRepository): boolean {
  const { observedIgnore, observedLayerSelector } = status;
  return isDeepStrictEqual([observedIgnore, observedLayerSelector], [spec.ignore, spec.layerSelector]);
}

/** What is stored was verified as the spec of now asks, or the trust policy asks for no proof. */
function isVerified({ metadata, spec, status = {} }: OCIRepository): boolean {
  if (!spec.verify) return true;
  const told = (wanted: string) => status.conditions?.find(({ type }) => type === wanted)?.status;
  const verified = told('SourceVerified');
  if (status.observedGeneration !== metadata.generation) return false;
  return verified === 'True' || (verified === undefined && told('Ready') === 'True');
}

/** `status.observed*`: the spec fields that shaped the artifact. */
function observedOf({ ignore, layerSelector }: OCIRepositorySpec): ArchivedRevision['observed'] {
  return {
    ...(ignore !== undefined && { observedIgnore: ignore }),
    ...(layerSelector !== undefined && { observedLayerSelector: layerSelector }),
  };
}

/** The text of the event, with where the content came from when the artifact says so. */
export function eventMessage(
  url: string,
  revision: string,
  annotations: Readonly<Record<string, string>> = {},
): string {
  const message = `stored artifact with revision '${revision}' from '${url}'`;
  const source = annotations['org.opencontainers.image.source'];
  const origin = annotations['org.opencontainers.image.revision'];
  return source && origin ? `${message}, origin source '${source}', origin revision '${origin}'` : message;
}
