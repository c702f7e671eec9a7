// `continuo rollback`: goes back to an earlier revision by the workflow's update, and holds what was wanted.
import type { Command } from 'commander';
import { rollbackUpdate, workflowIdOf } from '../workflows/messages.ts';
import { openTemporal, uiLink, withCluster } from './connect.ts';
import { CommandError, exitCodes, usageError } from './exit.ts';
import { addClusterFlags, addTemporalFlags, addTimeoutFlag, type ClusterFlags, type TemporalFlags } from './flags.ts';
import { parseObjectTarget } from './kinds.ts';
import { readObject, subjectOfObject } from './objects.ts';
import { printLine, shortHashes } from './output.ts';
import { isWorkflowNotFound } from './workflow-view.ts';

interface RollbackFlags extends ClusterFlags, TemporalFlags {
  to?: string;
  timeout: number;
}

/** Adds the command. */
export function register(program: Command): void {
  const command = program
    .command('rollback')
    .description('go back to an earlier revision, and hold the present one until a newer one or a reconcile')
    .usage('<kind> <name> [flags]')
    .argument('<kind-and-name...>', 'such as "ks demo", "ks/demo", "hr demo"')
    .option(
      '--to <revision>',
      'of a Kustomization a healthy revision of its history, in full or a part; of a HelmRelease a number as in "helm ' +
        'history", or the version of a chart; default: the good one before the present',
    )
    .action(runRollback);
  addTimeoutFlag(addTemporalFlags(addClusterFlags(command)));
}

async function runRollback(words: string[], flags: RollbackFlags): Promise<void> {
  const { definition, name } = parseObjectTarget(words);
  const { kind } = definition;
  if (kind !== 'Kustomization' && kind !== 'HelmRelease') {
    throw usageError(`only a Kustomization or a HelmRelease can be rolled back, got a ${kind}`);
  }
  const temporal = openTemporal(flags);
  try {
    await withCluster(flags, async (kube) => {
      const object = await readObject(kube, definition, flags.namespace, name);
      const subject = subjectOfObject(object);
      const id = workflowIdOf({ kind, namespace: object.metadata.namespace ?? '', name });
      const client = await temporal.client();
      printLine(`► ${subject}: rolling back${flags.to ? ` to ${flags.to}` : ''}`);
      const args: [{ revision?: string }] = [{ revision: flags.to }];
      const handle = client.workflow.getHandle(id);
      const result = await client.connection
        .withDeadline(Date.now() + flags.timeout, () => handle.executeUpdate(rollbackUpdate, { args }))
        .catch((error: unknown) => {
          throw told(error, subject, flags.timeout);
        });
      const text = shortHashes(result.message);
      if (result.outcome !== 'RolledBack') {
        throw new CommandError(
          `${subject} was not rolled back (${result.reason}): ${text}; see ${uiLink(temporal, id)}`,
        );
      }
      printLine(`✔ ${subject} ${text}`);
    });
  } finally {
    await temporal.close();
  }
}

/** The refusal in its own words, without the wrappers of the client. */
function told(error: unknown, subject: string, timeoutMs: number): Error {
  if (isWorkflowNotFound(error)) {
    return new CommandError(`${subject} has no workflow: is a worker running, and is this its Temporal server?`);
  }
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  if (/deadline|timed? ?out/i.test(message)) {
    return new CommandError(
      `${subject} was not rolled back within ${timeoutMs / 1000} s; it goes on`,
      exitCodes.timedOut,
    );
  }
  return new CommandError(message);
}
