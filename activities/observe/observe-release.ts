// Observe a HelmRelease: the object, its chart, what it depends on. Reads memory only; no request is sent.
import { createHash } from 'node:crypto';
import type { HelmRelease } from '../../k8s/api/helm-release.ts';
import type { WatchedReferences } from '../../k8s/referenced-objects.ts';
import { chartSourceOf, chartSourceRefOf } from './chart-source.ts';
import { dependencyExpressionError } from './dependencies.ts';
import type { ArtifactRef, HelmReleaseObservation } from './observation.ts';
import {
  absent,
  catchUpWithSource,
  createLook,
  observationOf,
  type ObserveDependencies,
  type ObserveInput,
} from './observe-activities.ts';
import { teardownOf, waitingOf } from './waiting.ts';

export interface ObserveReleaseDependencies extends ObserveDependencies {
  references: Pick<WatchedReferences, 'catchUp' | 'cacheOf'>;
  /** Why `spec.healthCheckExprs` do not compile, '' when they do. */
  releaseExpressionError(object: HelmRelease): string;
  /** True when memory proves that a reconcile would do nothing. */
  isReleaseSettled(object: HelmRelease, artifact: ArtifactRef): Promise<boolean>;
  /** True when the HelmChart of `spec.chart` is as wanted, as far as memory knows, and no other is left. */
  isChartAsWanted(object: HelmRelease): boolean;
}

export type ObserveReleaseActivities = ReturnType<typeof createObserveReleaseActivities>;

export function createObserveReleaseActivities(deps: ObserveReleaseDependencies) {
  const look = createLook(deps);

  /** Versions of the referenced objects that memory holds; the others are read when the release is prepared. */
  const inputsOf = ({ metadata, spec }: HelmRelease): string | undefined => {
    const versions = (spec.valuesFrom ?? []).flatMap(({ kind, name }) => {
      const cache = deps.references.cacheOf(kind);
      const found = cache.isSynced ? cache.get(metadata.namespace ?? '', name) : undefined;
      return found ? [`${kind}/${name} ${found.metadata.uid} ${found.metadata.resourceVersion}`] : [];
    });
    if (versions.length === 0) return undefined;
    return createHash('sha256').update(versions.join('\n')).digest('hex').slice(0, 16);
  };

  return {
    async observeHelmRelease(input: ObserveInput): Promise<HelmReleaseObservation> {
      const object = (await look('HelmRelease', input)) as HelmRelease | undefined;
      if (!object) return absent;
      const { spec, status } = object;
      const common: HelmReleaseObservation = observationOf(object, spec.interval);
      if (common.isDeleting) return { ...common, ...teardownOf(object, deps.objects) };
      if (common.isSuspended) return common;
      await catchUpWithSource(deps.objects, chartSourceRefOf(object).kind, input.wakes);
      const expressionError = deps.releaseExpressionError(object) || dependencyExpressionError(object);
      if (expressionError) {
        const message = `Reconciliation failed terminally due to configuration error: ${expressionError}`;
        return { ...common, obstacle: { reason: 'InvalidCELExpression', message } };
      }
      const mustChangeChart = !deps.isChartAsWanted(object);
      const { requestedAt, handledRequest } = common;
      const isRequested = requestedAt !== undefined && requestedAt !== handledRequest;
      const seen = { ...common, inputs: inputsOf(object), ...(mustChangeChart ? { mustChangeChart } : {}) };
      const source = await chartSourceOf(object, deps);
      // Step 5 before step 6: what is waited for needs no chart yet.
      const waiting = await waitingOf(object, 'reason' in source ? { revision: '' } : source, deps);
      if (waiting) return { ...seen, ...waiting };
      if ('reason' in source) return { ...seen, obstacle: source };
      return {
        ...seen,
        artifact: source,
        revision: source.revision,
        appliedRevision: status?.lastAttemptedRevision,
        // What a person asks for, such as a forced upgrade, is looked at in full.
        isSettled: !mustChangeChart && !isRequested && (await deps.isReleaseSettled(object, source)),
        // What is not Ready keeps its own timer.
        isIntervalWatched: common.readyStatus === 'True',
      };
    },
  };
}
