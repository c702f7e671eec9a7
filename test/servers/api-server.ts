// An API server of a test's own, with its etcd and nothing else: a remote cluster that can go away and come back.
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KubeClient } from '../../k8s/client.ts';
import { createKubeClient } from '../../k8s/kube-client.ts';
import { ensureBinaries } from '../../tools/platform/binaries.ts';
import { buildComponents } from '../../tools/platform/components.ts';
import { ensureCredentials, writeKubeconfigs } from '../../tools/platform/credentials.ts';
import { createRunner } from '../../tools/platform/runner.ts';
import { choosePorts } from '../../tools/platform/settings.ts';

export interface ApiServer {
  /** `https://127.0.0.1:<port>` */
  url: string;
  /** An administrator's kubeconfig, self-contained. */
  kubeconfig: string;
  /** An administrator's client. */
  client: KubeClient;
  /** Kills the server; etcd keeps what it held. */
  kill(): Promise<void>;
  /** Stops and continues the server without its knowledge: connections stay open, and nothing answers. */
  freeze(isFrozen: boolean): void;
  /** Starts it again and waits until it serves. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Starts an API server; no controller runs beside it, so nothing but what is asked of it happens. */
export async function startApiServer(): Promise<ApiServer> {
  const dataDir = mkdtempSync(join(realpathSync(tmpdir()), 'continuo-remote-'));
  const runner = createRunner({ dataDir, report: () => undefined });
  const kill = (): void => {
    runner.kill();
    rmSync(dataDir, { recursive: true, force: true });
  };
  process.once('exit', kill);
  const binaries = await ensureBinaries(['etcd', 'kube-apiserver']);
  const ports = await choosePorts({}, {}, new Set(), () => undefined);
  const tokens = await ensureCredentials(dataDir);
  const [etcd, apiserver] = buildComponents(['etcd', 'kube-apiserver'], {
    dataDir,
    ports,
    binaries,
    modules: { gitServer: '', worker: '', workflowThread: '', stages: '' },
    fsync: false,
    temporalAddress: '',
    workerKubeconfig: '',
  });
  if (!etcd || !apiserver) throw new Error('the platform has no etcd and API server');
  await runner.start(etcd);
  await runner.start(apiserver);
  const url = `https://127.0.0.1:${ports.apiserver}`;
  const kubeconfigPath = join(dataDir, 'kubeconfig');
  await writeKubeconfigs(dataDir, url, tokens, kubeconfigPath);
  const kubeconfig = readFileSync(kubeconfigPath, 'utf8');
  const client = createKubeClient({ kubeconfigText: kubeconfig });
  return {
    url,
    kubeconfig,
    client,
    kill: () => runner.stop(['kube-apiserver'], { isForced: true }),
    freeze(isFrozen) {
      const record = runner.running()['kube-apiserver'];
      if (!record) throw new Error('the API server does not run');
      process.kill(record.pid, isFrozen ? 'SIGSTOP' : 'SIGCONT');
    },
    start: () => runner.start(apiserver),
    async close() {
      await client.close();
      await runner.stop(['kube-apiserver', 'etcd'], { isForced: true });
      process.off('exit', kill);
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
