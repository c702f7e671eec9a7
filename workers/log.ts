// Logs: JSON lines with the keys that `flux logs` reads (contract 3): ts, level, msg, error, controllerKind, name,
// namespace.
import { DefaultLogger, type LogEntry, type LogLevel, type Logger } from '@temporalio/worker';
import { pino } from 'pino';
import { workflowTypes } from '../workflows/messages.ts';

type Write = (details: Record<string, unknown>, message: string) => void;

/** pino's way round: details first. */
export interface Log {
  info: Write;
  warn: Write;
  error: Write;
}

export interface WorkerLog extends Log {
  /** For the Temporal runtime. */
  temporal: Logger;
}

const kinds = new Map(Object.entries(workflowTypes).map(([kind, type]) => [type, kind]));

export function createLog(level: 'debug' | 'info' | 'warn' | 'error'): WorkerLog {
  const logger = pino({
    level,
    base: null,
    messageKey: 'msg',
    timestamp: () => `,"ts":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label === 'warn' ? 'info' : label }) },
  });
  const write =
    (level: 'info' | 'warn' | 'error' | 'debug'): Write =>
    (details, message) =>
      logger[level](details, message);
  return {
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    temporal: new DefaultLogger(level.toUpperCase() as LogLevel, (entry) => {
      const name = entry.level.toLowerCase();
      write(name === 'trace' ? 'debug' : (name as 'info'))(detailsOf(entry), entry.message);
    }),
  };
}

/** What Temporal says of an entry, in the words that readers of Flux's logs search for. */
function detailsOf(entry: LogEntry): Record<string, unknown> {
  const meta = entry.meta ?? {};
  const { workflowId, workflowType, error, ...rest } = meta as Record<string, unknown>;
  const [, namespace, name] = typeof workflowId === 'string' ? workflowId.split('/') : [];
  const controllerKind = kinds.get(String(workflowType));
  return {
    ...(controllerKind ? { controllerKind, namespace, name } : {}),
    ...(workflowId ? { workflowId } : {}),
    ...(error ? { error: error instanceof Error ? error.message : String(error) } : {}),
    ...('reason' in rest ? { reason: rest.reason } : {}),
    ...('message' in rest ? { detail: rest.message } : {}),
    ...('activityType' in rest ? { activityType: rest.activityType } : {}),
  };
}
