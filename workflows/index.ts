// What the worker registers: one workflow a kind, and their parent.
export { cluster } from './cluster.ts';
export { gitRepository } from './git-repository.ts';
export { kustomization } from './kustomization.ts';
