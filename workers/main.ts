// A worker: connects, installs the CRDs, opens the caches, serves both task queues and the artifacts. Any number of
// them may run against one Temporal namespace and one cluster; none of them leads.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { WorkflowIdConflictPolicy } from '@temporalio/common';
import { NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createArtifactApp } from '../activities/artifact/server.ts';
import { installCrds } from '../k8s/install-crds.ts';
import { createKubeClient } from '../k8s/kube-client.ts';
import { clusterWorkflowId, type ReconciledRef } from '../workflows/messages.ts';
import { helmTaskQueue, mainTaskQueue, watchTaskQueue } from '../workflows/task-queues.ts';
import { openArtifactStore } from './artifact-store.ts';
import { createBridge } from './bridge.ts';
import { compose } from './compose.ts';
import { readConfig, type WorkerConfig } from './config.ts';
import { startHttp } from './http.ts';
import { createLog, type Log } from './log.ts';
import { createMetrics } from './metrics.ts';
import { readSealingKey } from './sealing-key.ts';
import { ensureSearchAttributes } from './search-attributes.ts';
import { createSignaller } from './signaller.ts';
import { workflowBundle } from './workflow-bundle.ts';

/** What works gets this long to finish; what waits is handed over at once. */
const shutdownGraceMs = 3_000;
const localSlots = 16;

async function main(): Promise<void> {
  const config = readConfig(process.env);
  const log = createLog(config.CONTINUO_LOG_LEVEL);
  Runtime.install({ logger: log.temporal, shutdownSignals: [] });

  let isReady = false;
  const metrics = createMetrics();
  const artifacts = openArtifactStore(config);
  /** Set once the objects are known: until then nothing is missed. */
  let isIntact: (path: string) => Promise<boolean> = async () => true;
  const closeHttp = await startHttp({
    address: config.CONTINUO_HTTP_ADDRESS,
    artifacts: createArtifactApp(artifacts.files, (path) => isIntact(path)),
    metrics: metrics.registry,
    isReady: () => isReady,
  });

  // Whatever is away at start is waited for: a worker that gives up helps nobody.
  const bundle = workflowBundle(join(config.CONTINUO_DATA_DIR, 'bundle'), log.temporal);
  const kube = createKubeClient({ userAgent: 'continuo' });
  const [connection, native] = await untilItWorks(log, 'Temporal', () => connect(config));
  await untilItWorks(log, 'the API server', () => installCrds(kube, log));

  const sealingKey = await untilItWorks(log, 'the sealing key', () => readSealingKey(kube, config.CONTINUO_NAMESPACE));

  const engine = await compose({ kube, config, log, artifacts, sealingKey });
  const client = new Client({ connection, namespace: config.TEMPORAL_NAMESPACE });
  const isServed = (ref: ReconciledRef): boolean => {
    const object = engine.objects.peek(ref.kind, ref);
    return object === undefined || engine.objects.isServed(object);
  };
  const signaller = createSignaller(client, config.CONTINUO_CLUSTER, log, isServed);
  const bridge = createBridge({ ...engine, client, signaller, log });
  await engine.objects.sync();
  engine.lostArtifacts.onLost((source) => signaller.wake(source, { type: 'resync' }));
  isIntact = engine.lostArtifacts.isIntact;

  const common = { connection: native, namespace: config.TEMPORAL_NAMESPACE };
  const stages = {
    maxConcurrentActivityTaskExecutions: config.CONTINUO_CONCURRENT,
    // A cancellation reaches a stage with its next heartbeat, and those are sent no oftener than this.
    maxHeartbeatThrottleInterval: '1 s',
  } as const;
  const workers = [
    await Worker.create({
      ...common,
      ...stages,
      taskQueue: mainTaskQueue,
      shutdownGraceTime: shutdownGraceMs,
      workflowBundle: await bundle,
      activities: { ...engine.activities, ...engine.watchActivities },
      maxCachedWorkflows: config.CONTINUO_WORKFLOW_CACHE,
      // Few at a time: each is over in milliseconds then, and a burst waits its turn instead of all being slow together.
      maxConcurrentLocalActivityExecutions: localSlots,
      maxConcurrentWorkflowTaskExecutions: 100,
    }),
    await Worker.create({
      ...common,
      ...stages,
      taskQueue: helmTaskQueue,
      shutdownGraceTime: shutdownGraceMs,
      activities: engine.activities,
    }),
    await Worker.create({
      ...common,
      taskQueue: watchTaskQueue,
      activities: { ...engine.watchActivities, ...bridge },
      maxConcurrentActivityTaskExecutions: 5_000,
    }),
  ];
  const startCluster = () =>
    client.workflow.start('cluster', {
      workflowId: clusterWorkflowId(config.CONTINUO_CLUSTER),
      workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
      taskQueue: mainTaskQueue,
      args: [{ cluster: config.CONTINUO_CLUSTER }],
    });
  await untilItWorks(log, 'Temporal', startCluster);

  const stop = (): void => {
    isReady = false;
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  isReady = true;
  log.info({ cluster: config.CONTINUO_CLUSTER, server: kube.server }, 'worker is ready');
  await Promise.all(workers.map((worker) => worker.run()));

  signaller.close();
  await engine.close();
  await Promise.all([native.close(), connection.close(), kube.close(), closeHttp()]);
}

async function connect(config: WorkerConfig): Promise<[Connection, NativeConnection]> {
  const options = { address: config.TEMPORAL_ADDRESS };
  const connection = await Connection.connect(options);
  await ensureSearchAttributes(connection, config.TEMPORAL_NAMESPACE);
  return [connection, await NativeConnection.connect(options)];
}

async function untilItWorks<T>(log: Log, what: string, attempt: () => Promise<T>): Promise<T> {
  for (let pauseMs = 250; ; pauseMs = Math.min(pauseMs * 2, 5_000)) {
    try {
      return await attempt();
    } catch (error) {
      log.warn({ error: error instanceof Error ? error.message : String(error) }, `waiting for ${what}`);
      await sleep(pauseMs);
    }
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(`✗ ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  },
);
