// Fields of the API that this version does not carry out yet. An object that asks for one is refused with a clear word:
// applying it as if the field were not there could do harm.
import type { Kustomization } from '../../k8s/api/kustomization.ts';
import type { Obstacle } from '../../workflows/decisions/obstacle.ts';

const unsupportedSpecFields = ['decryption', 'kubeConfig', 'postBuild', 'dependsOn'] as const;

export function unsupportedField(object: Kustomization): Obstacle | undefined {
  const field = unsupportedSpecFields.find((name) => {
    const value = object.spec[name];
    return value !== undefined && !(Array.isArray(value) && value.length === 0);
  });
  if (!field) return undefined;
  return {
    reason: 'FeatureGateDisabled',
    message: `spec.${field} is not supported yet by this version of Continuo: remove it, or keep this object with Flux`,
  };
}
