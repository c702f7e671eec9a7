// What the spec of a HelmRelease says of one action (contract 1.9).
import type { HelmRelease } from '../../k8s/api/helm-release.ts';
import type { ReleaseAction } from '../../workflows/decisions/release-state.ts';

/** The fields that several actions have. */
export interface ActionSpec {
  timeout?: string;
  disableWait?: boolean;
  disableWaitForJobs?: boolean;
  disableHooks?: boolean;
  cleanupOnFail?: boolean;
}

/** The part of the spec about an action; undefined where it says nothing of it, or where there is none. */
export function actionSpecOf({ spec }: HelmRelease, action: ReleaseAction): ActionSpec | undefined {
  switch (action) {
    case 'install':
      return spec.install;
    case 'upgrade':
      return spec.upgrade;
    case 'rollback':
      return spec.rollback;
    case 'uninstall':
      return spec.uninstall;
    case 'test':
      return spec.test;
    default:
      return undefined;
  }
}

/** True where an action is over as soon as all is applied. */
export function isWaitDisabled(object: HelmRelease, action: ReleaseAction): boolean {
  return actionSpecOf(object, action)?.disableWait === true;
}

/** True for an action whose rollout is awaited outside of helm. */
export function isAwaitedOutside(object: HelmRelease, action: ReleaseAction): boolean {
  return makesRevision(action) && !isWaitDisabled(object, action) && object.spec.waitStrategy?.name !== 'legacy';
}

/** True for an action that makes a revision of the release. */
export function makesRevision(action: ReleaseAction): boolean {
  return action === 'install' || action === 'upgrade' || action === 'rollback';
}
