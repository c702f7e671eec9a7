// `npm run bench [-- --n 100] [--phases install,noop,…] [--interval 10m] [--seed 1] [--engine continuo|flux]`: the figures
// of docs/benchmarks.md, each beside the floor that is measured in the same run on the same machine: the same API requests,
// sent bare. With `--engine flux` the same phases measure the controllers of Flux on a platform of the same kind.
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Kustomization } from '../k8s/api/kustomization.ts';
import { createKubeClient } from '../k8s/kube-client.ts';
import { definition } from '../k8s/api/kustomization.ts';
import { resourceOf } from '../k8s/api/definition.ts';
import type { KubeObject, ObjectRef } from '../k8s/object.ts';
import { createWatchCaches } from '../k8s/watch-caches.ts';
import { startPlatform } from '../tools/platform/index.ts';
import { startFlux } from './flux.ts';
import { floorOfInstall, floorOfRequests } from './floor.ts';
import { measureRepository } from './git-source.ts';
import {
  appName,
  appObjects,
  configMapObject,
  createBenchRepository,
  kustomizationObject,
  sourceObject,
} from './load.ts';
import { machine, type Measured, measure, type Meter, round } from './measure.ts';
import { apiServerMetrics } from './metrics-endpoint.ts';
import { releasePhases, runReleasePhases } from './release-phases.ts';

const { values } = parseArgs({
  options: {
    n: { type: 'string', default: '100' },
    phases: { type: 'string', default: 'install,noop,all,one,chain,single,starve,drift' },
    interval: { type: 'string', default: '10m' },
    seed: { type: 'string', default: '1' },
    engine: { type: 'string', default: 'continuo' },
  },
});
const n = Number(values.n);
const phases = new Set(values.phases.split(','));
const namespace = 'bench';
const sick = 50;

// The platform goes with this process, if that ends by `exit`.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const isFlux = values.engine === 'flux';
const platform = await startPlatform({ worker: !isFlux, report: (line) => console.error(line) });
const client = createKubeClient({ kubeconfig: platform.kubeconfigPath });
const flux = isFlux ? await startFlux(client, platform.kubeconfigPath) : undefined;
const caches = createWatchCaches(client);
try {
  await run();
} finally {
  caches.close();
  await flux?.stop();
  await client.close();
  await platform.stop();
}
process.exit(); // the connections to what was just stopped need not be waited for

async function run(): Promise<void> {
  const metrics = apiServerMetrics(platform.kubeconfigPath);
  const { worker = 0, temporal = 0 } = platform.pids;
  const pids: Record<string, number> = flux?.pids ?? { worker, temporal };
  const meter: Meter = { client, metrics, pids, engine: Object.keys(pids).filter((name) => name !== 'temporal') };
  const repository = createBenchRepository(platform.gitRoot, platform.gitUrl, 'bench');
  const kustomizations = caches.open({ resource: resourceOf(definition) });
  const names = Array.from({ length: n }, (_, index) => appName(index));
  console.log(JSON.stringify({ machine: machine(), engine: values.engine, n }));

  const report = (phase: string, measured: Partial<Measured> & { seconds: number }, floorSeconds?: number): void => {
    const floor =
      floorSeconds === undefined
        ? {}
        : { floorSeconds: round(floorSeconds), ratio: round(measured.seconds / floorSeconds) };
    console.log(JSON.stringify({ phase, ...measured, ...floor }));
  };
  const until = async (what: string, isSo: () => boolean, timeoutMs = 300_000): Promise<void> => {
    const deadline = Date.now() + timeoutMs;
    while (!isSo()) {
      if (Date.now() > deadline) throw new Error(`timed out waiting until ${what}`);
      await sleep(10);
    }
  };
  const seen = (name: string): Kustomization | undefined =>
    kustomizations.get(namespace, name) as Kustomization | undefined;
  const isReady = (name: string): boolean =>
    seen(name)?.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false;
  const isAt = (name: string, commit: string): boolean =>
    isReady(name) && (seen(name)?.status?.lastAppliedRevision?.endsWith(commit) ?? false);
  const haveRevision = (commit: string) => (): boolean => names.every((name) => isAt(name, commit));
  const refOf = (kind: string, group: string, name: string): ObjectRef => ({
    group,
    version: 'v1',
    kind,
    namespace,
    name,
  });
  const request = async (kind: string, group: string, name: string): Promise<string> => {
    const stamp = new Date().toISOString();
    const body = { metadata: { annotations: { 'reconcile.fluxcd.io/requestedAt': stamp } } };
    await client.patch(refOf(kind, group, name), body, { type: 'merge' });
    return stamp;
  };
  const requestSource = () => request('GitRepository', 'source.toolkit.fluxcd.io', 'bench');
  const requestKustomization = (name: string) => request('Kustomization', 'kustomize.toolkit.fluxcd.io', name);
  const apply = (object: KubeObject) => client.apply(object, { fieldManager: 'bench', force: true });
  const answered = (name: string, stamp: string): boolean =>
    isReady(name) && seen(name)?.status?.lastHandledReconcileAt === stamp;

  await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  await kustomizations.sync();
  if (phases.has('git')) {
    const { gitRoot, gitUrl } = platform;
    const bench = { client, namespace, gitRoot, gitUrl, workerPid: worker };
    for (const megabytes of [35, 100]) console.log(JSON.stringify(await measureRepository(bench, 4_000, megabytes)));
  }
  await runReleasePhases({ client, caches, platform }, meter, { phases, n, seed: Number(values.seed) });
  const others: ReadonlySet<string> = new Set(['git', ...releasePhases]);
  if ([...phases].every((phase) => others.has(phase))) return;
  const write = (index: number, version: string): void => repository.write(`apps/${index}`, appObjects(index, version));
  for (let index = 0; index < n; index++) write(index, '1.0.0');
  let commit = repository.push('install');

  if (phases.has('install')) {
    const floor = await floorOfInstall(client, n);
    const measured = await measure(meter, async () => {
      await apply(sourceObject(namespace, repository.url));
      await Promise.all(
        names.map((name, index) =>
          apply(kustomizationObject(namespace, name, `./apps/${index}`, { interval: values.interval })),
        ),
      );
      await until('all are installed', haveRevision(commit));
    });
    report('install', measured, floor);
    await sleep(12_000); // the runs of the install are closed meanwhile, as they would be in a cluster
  }
  if (phases.has('noop')) {
    const floor = await floorOfRequests(client, namespace, 2 * n);
    const measured = await measure(meter, async () => {
      const stamps = await Promise.all(names.map(requestKustomization));
      await until('all have answered', () => names.every((name, index) => answered(name, stamps[index] ?? '')));
    });
    report('noop', measured, floor);
  }
  if (phases.has('all')) {
    for (let index = 0; index < n; index++) write(index, '1.1.0');
    commit = repository.push('all');
    const floor = await floorOfRequests(client, namespace, 4 * n);
    report(
      'all',
      await measure(meter, async () => {
        await requestSource();
        await until('all have the new revision', haveRevision(commit));
      }),
      floor,
    );
    await sleep(12_000);
  }
  if (phases.has('one')) {
    const changed = Math.floor(n / 2);
    write(changed, '1.2.0');
    commit = repository.push('one');
    let updatedSeconds = 0;
    const measured = await measure(meter, async () => {
      const startedAt = performance.now();
      await requestSource();
      await until('the changed one is updated', () => isAt(appName(changed), commit));
      updatedSeconds = (performance.now() - startedAt) / 1000;
      await until('all have the new revision', haveRevision(commit));
    });
    report('one, until the object is updated', { seconds: round(updatedSeconds) });
    report('one, until all report the revision', measured);
  }
  if (phases.has('chain')) {
    const chain = Array.from({ length: 6 }, (_, index) => `chain-${index}`);
    const writeChain = (value: string): void => {
      for (const name of chain) repository.write(`chain/${name}`, [configMapObject(name, value)]);
    };
    writeChain('1');
    commit = repository.push('chain');
    await requestSource();
    for (const [index, name] of chain.entries()) {
      const before = chain[index - 1];
      const dependsOn = before ? { dependsOn: [{ name: before }] } : {};
      await apply(kustomizationObject(namespace, name, `./chain/${name}`, dependsOn));
    }
    const hasChain = (): boolean => chain.every((name) => isAt(name, commit));
    await until('the chain is installed', hasChain);
    await sleep(12_000);
    writeChain('2');
    commit = repository.push('chain, changed');
    const measured = await measure(meter, async () => {
      await requestSource();
      await until('the chain has the new revision', hasChain);
    });
    report('chain of 6, until the last one has the new revision', measured);
    await until('all have the new revision', haveRevision(commit));
  }
  if (phases.has('single')) {
    const seconds: number[] = [];
    for (let round = 0; round < 11; round++) {
      const startedAt = performance.now();
      const stamp = await requestKustomization(appName(0));
      await until('it has answered', () => answered(appName(0), stamp));
      seconds.push((performance.now() - startedAt) / 1000);
      await sleep(200);
    }
    report('single, median of 11', { seconds: round(seconds.sort((a, b) => a - b)[5] ?? 0) });
  }
  if (phases.has('starve')) {
    const placeholder = appObjects(9999, '1.0.0').slice(2, 3);
    repository.write(
      'sick',
      placeholder.map((object) => unschedulable(object)),
    );
    repository.push('sick');
    await requestSource();
    await sleep(3_000);
    const sickOnes = Array.from({ length: sick }, (_, index) => `sick-${index}`);
    await Promise.all(
      sickOnes.map((name) =>
        apply(kustomizationObject(namespace, name, './sick', { nameSuffix: `-${name}`, timeout: '10m' })),
      ),
    );
    await sleep(8_000);
    const measured = await measure(meter, async () => {
      const stamp = await requestKustomization(appName(0));
      await until('the healthy one has answered', () => answered(appName(0), stamp));
    });
    report(`starve: a healthy one beside ${sick} that never become healthy`, measured);
  }
  if (phases.has('drift')) {
    const service = refOf('Service', '', appName(0));
    const before = await client.get(service);
    const measured = await measure(meter, async () => {
      await client.delete(service, { propagationPolicy: 'Background' });
      for (;;) {
        const now = await client.get(service);
        if (now && now.metadata.uid !== before?.metadata.uid) return;
        await sleep(10);
      }
    });
    report('drift: a deleted Service is back', measured);
  }
  if (phases.has('idle')) report('idle, 60 s', await measure(meter, () => sleep(60_000)));
  if (phases.has('idle-later')) {
    await sleep(5 * 60_000); // by then the workflows' own timers are due as well
    report('idle, 60 s, after five minutes', await measure(meter, () => sleep(60_000)));
  }
}

function unschedulable(object: KubeObject): KubeObject {
  const copy = structuredClone(object) as KubeObject & { spec: { replicas: number; template: { spec: object } } };
  copy.spec.replicas = 1;
  copy.spec.template.spec = { containers: [{ name: 'app', image: 'x' }], nodeSelector: { no: 'such-node' } };
  return copy;
}
