// What the worker registers: one workflow a kind, and their parent. All sources that fetch have one mechanism.
export { artifactGenerator } from './artifact-generator.ts';
export { cluster } from './cluster.ts';
export { helmRelease } from './helm-release.ts';
export { kustomization } from './kustomization.ts';
export {
  source as bucket,
  source as gitRepository,
  source as helmChart,
  source as helmRepository,
  source as ociRepository,
} from './source.ts';
