// All kinds of ours in one table, in the order of the reference.
import { definition as alert } from './alert.ts';
import { definition as artifactGenerator } from './artifact-generator.ts';
import { definition as bucket } from './bucket.ts';
import type { KindDefinition } from './definition.ts';
import { definition as externalArtifact } from './external-artifact.ts';
import { definition as gitRepository } from './git-repository.ts';
import { definition as helmChart } from './helm-chart.ts';
import { definition as helmRelease } from './helm-release.ts';
import { definition as helmRepository } from './helm-repository.ts';
import { definition as imagePolicy } from './image-policy.ts';
import { definition as imageRepository } from './image-repository.ts';
import { definition as imageUpdateAutomation } from './image-update-automation.ts';
import { definition as kustomization } from './kustomization.ts';
import { definition as ociRepository } from './oci-repository.ts';
import { definition as provider } from './provider.ts';
import { definition as receiver } from './receiver.ts';

/** Every kind of ours by its name (contract 1.0, inventory of kinds). */
export const kinds = {
  GitRepository: gitRepository,
  OCIRepository: ociRepository,
  HelmRepository: helmRepository,
  HelmChart: helmChart,
  Bucket: bucket,
  ExternalArtifact: externalArtifact,
  ArtifactGenerator: artifactGenerator,
  Kustomization: kustomization,
  HelmRelease: helmRelease,
  Provider: provider,
  Alert: alert,
  Receiver: receiver,
  ImageRepository: imageRepository,
  ImagePolicy: imagePolicy,
  ImageUpdateAutomation: imageUpdateAutomation,
} as const satisfies Record<string, KindDefinition>;

/** The name of a kind of ours. */
export type Kind = keyof typeof kinds;

/** All definitions, in the order of the table. */
export const definitions: readonly KindDefinition[] = Object.values(kinds);

/** True for the name of a kind of ours. */
export function isKind(value: string): value is Kind {
  return Object.hasOwn(kinds, value);
}

/** `group/version` in which a kind of ours is stored; undefined for any other kind. */
export function apiVersionOfKind(kind: string): string | undefined {
  if (!isKind(kind)) return undefined;
  const { group, versions } = kinds[kind];
  return `${group}/${versions.find(({ isStored }) => isStored)?.name}`;
}
