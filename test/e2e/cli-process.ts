// The CLI against the test platform.
import { join } from 'node:path';
import { inject } from 'vitest';
import { type RunningCommand, startContinuo } from '../servers/command.ts';

export type { CommandResult as CliResult } from '../servers/command.ts';

/** Starts it against the test platform; variables of `environment` come on top. */
export function startCli(args: readonly string[], environment: Record<string, string> = {}): RunningCommand {
  return startContinuo(args, {
    HOME: inject('dataDir'),
    KUBECONFIG: inject('kubeconfig'),
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    CONTINUO_UI_URL: 'http://ui.test',
    CONTINUO_KUSTOMIZE: join(inject('binDir'), 'kustomize'),
    CONTINUO_HELM: join(inject('binDir'), 'helm'),
    CONTINUO_SOPS: join(inject('binDir'), 'sops'),
    ...environment,
  });
}
