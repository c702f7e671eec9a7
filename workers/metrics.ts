// Metrics with the names that dashboards for Flux use (contract 4).
import { collectDefaultMetrics, Histogram, Registry } from 'prom-client';

export interface Metrics {
  registry: Registry;
  /** One reconcile of an object is over. */
  reconciled(kind: string, namespace: string, name: string, durationMs: number): void;
  /** The object is gone: its series go too. */
  forget(kind: string, namespace: string, name: string): void;
}

/** Ten exponential buckets from 10 ms to 30 min (contract 4). */
const buckets = Array.from({ length: 10 }, (_, i) => 0.01 * 180_000 ** (i / 9));

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const durations = new Histogram({
    name: 'gotk_reconcile_duration_seconds',
    help: 'The duration in seconds of a reconcile.',
    labelNames: ['kind', 'name', 'namespace'],
    buckets,
    registers: [registry],
  });
  return {
    registry,
    reconciled: (kind, namespace, name, durationMs) => durations.observe({ kind, namespace, name }, durationMs / 1000),
    forget: (kind, namespace, name) => durations.remove({ kind, namespace, name }),
  };
}
