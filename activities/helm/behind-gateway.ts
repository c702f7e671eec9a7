// A helm process with its way to the API server, which ends with it.
import { Context } from '@temporalio/activity';
import type { ApiGateway, GatewaySession, OpenedGateway } from './api-gateway.ts';
import type { ReleaseTarget } from './release-context.ts';
import type { NamedRelease } from './release-types.ts';
import type { Helm, HelmResult, HelmRun } from './run-helm.ts';

/** One process: what it is to do, and what it may see. */
export interface GatewayRun
  extends Pick<HelmRun, 'args' | 'chart' | 'values' | 'postRender' | 'hidden' | 'signal'>,
    Pick<GatewaySession, 'attempt' | 'view' | 'isMarkingAll'> {
  target: ReleaseTarget;
  release: NamedRelease;
}

/** How it ended, and what it has written. */
export type GatewayResult = HelmResult & Pick<OpenedGateway, 'written' | 'created' | 'wasServerAway'>;

/** Helm's own time-outs are for each step; this ends a process that hangs. */
const longestRunMs = 55 * 60_000;
const cancelGraceMs = 300;

/** Runs a process within an activity. Rejects as {@link Helm.run} does. */
export async function runBehindGateway(
  { gateway: gateways, helm }: { gateway: ApiGateway; helm: Helm },
  { target, release, attempt, view, isMarkingAll, ...run }: GatewayRun,
): Promise<GatewayResult> {
  const { client, releases } = target;
  const onStored = (answer: Buffer): void => releases.learn(client.server, answer);
  const gateway = await gateways.open({ client, ...release, attempt, isMarkingAll, view, onStored });
  const { signal } = run;
  signal.addEventListener('abort', gateway.close, { once: true });
  const beat = Context.current();
  try {
    const result = await helm.run({
      ...run,
      server: gateway.server,
      namespace: release.namespace,
      timeoutMs: longestRunMs,
      graceMs: cancelGraceMs,
      heartbeat: () => beat.heartbeat(),
    });
    const { written, created, wasServerAway } = gateway;
    return { ...result, written, created, wasServerAway };
  } finally {
    signal.removeEventListener('abort', gateway.close);
    gateway.close();
  }
}
