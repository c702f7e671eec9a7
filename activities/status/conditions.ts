// The one condition builder: Ready always; Reconciling and Stalled only while they are true (contract 1.0, kstatus).
import type { Condition } from '../../k8s/api/shared/status.ts';

/** What a condition is to say; times and generations are filled in. */
export interface ConditionWish {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason: string;
  message: string;
}

/** The CRDs cap condition messages. */
const maximumMessage = 32_768;

/**
 * The conditions with `wishes` set and the types in `removed` gone. A condition's transition time moves only when its
 * status does; conditions of types that are not mentioned stay as they are, whoever wrote them.
 */
export function withConditions(
  current: readonly Condition[] | undefined,
  wishes: readonly ConditionWish[],
  removed: readonly string[],
  observedGeneration: number,
  now: string,
): Condition[] {
  const wished = wishes.map(({ message, ...wish }): Condition => {
    const previous = current?.find((condition) => condition.type === wish.type);
    return {
      ...wish,
      message: message.length > maximumMessage ? `${message.slice(0, maximumMessage - 1)}…` : message,
      observedGeneration,
      lastTransitionTime: previous?.status === wish.status ? previous.lastTransitionTime : now,
    };
  });
  const mentioned = new Set([...removed, ...wishes.map((wish) => wish.type)]);
  return [...wished, ...(current ?? []).filter((condition) => !mentioned.has(condition.type))];
}

/** Ready and Reconciling (or Stalled) after a failure (contract 1.0, 2.1). */
export function failureWishes(reason: string, message: string, isStalled: boolean): ConditionWish[] {
  const ready: ConditionWish = { type: 'Ready', status: 'False', reason, message };
  const rest: ConditionWish = isStalled
    ? { type: 'Stalled', status: 'True', reason, message }
    : { type: 'Reconciling', status: 'True', reason: 'ProgressingWithRetry', message };
  return [rest, ready];
}

/** Ready=Unknown while a stage takes long enough to be seen (contract 2.1, step 6). */
export function progressWishes(message: string): ConditionWish[] {
  return [
    { type: 'Reconciling', status: 'True', reason: 'Progressing', message },
    { type: 'Ready', status: 'Unknown', reason: 'Progressing', message },
  ];
}
