// ArtifactGenerators: what their steps need, made from what the engine has.
import type { ArtifactGenerator } from '../k8s/api/artifact-generator.ts';
import type { KubeClient } from '../k8s/client.ts';
import type { KubeObject } from '../k8s/object.ts';
import type { ArtifactStore, UnpackedArtifacts } from '../activities/artifact/artifact.ts';
import { makePrivateDirectory } from '../activities/private-directory.ts';
import type { EventRecorder } from '../activities/event/recorder.ts';
import { readValuesYaml, writeValuesYaml } from '../activities/helm/values-yaml.ts';
import { generatorSourcesOf } from '../activities/observe/generator-sources.ts';
import { createObserveGeneratorActivities } from '../activities/observe/observe-generator.ts';
import type { ObserveDependencies } from '../activities/observe/observe-activities.ts';
import { createGeneratorActivities } from '../activities/source/generator/generator-activities.ts';
import { createGeneratorReport } from '../activities/status/report-generator.ts';
import type { ObjectWriter } from '../activities/status/status-activities.ts';
import { beating } from './beating.ts';

export interface GeneratorParts
  extends Pick<
    ObserveDependencies,
    'objects' | 'references' | 'isCrossNamespaceAllowed' | 'isExternalArtifactAllowed'
  > {
  kube: KubeClient;
  writer: ObjectWriter;
  events: EventRecorder;
  store: ArtifactStore;
  unpacked: UnpackedArtifacts;
  /** Root of the directories that tarballs are unpacked into. */
  temporaryDirectory: string;
}

export function composeGenerator(parts: GeneratorParts) {
  const { kube, temporaryDirectory } = parts;
  const generating = createGeneratorActivities({
    ...parts,
    client: kube,
    yaml: { read: readValuesYaml, write: writeValuesYaml },
    sourcesOf: (object) => generatorSourcesOf(object, parts),
    makeDirectory: () => makePrivateDirectory(temporaryDirectory, 'generator'),
  });
  return { ...createObserveGeneratorActivities(parts), ...beating(generating), ...createGeneratorReport(parts) };
}

/** False when an object or a file that an ArtifactGenerator has made is not there as it was left. */
export async function isGeneratedAsLeft(
  object: KubeObject,
  { store, objects }: Pick<GeneratorParts, 'store' | 'objects'>,
): Promise<boolean> {
  for (const { namespace, name, digest, filename } of (object as ArtifactGenerator).status?.inventory ?? []) {
    if (!objects.peek('ExternalArtifact', { namespace, name })) return false;
    const path = `externalartifact/${namespace}/${name}/${filename}`;
    if (!(await store.verify({ path, digest, url: '', revision: '', lastUpdateTime: '' }))) return false;
  }
  return true;
}
