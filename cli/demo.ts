// The demo of `continuo up`: a repository with two environments of an app, reconciled before one's eyes.
import { join, relative } from 'node:path';
import { kinds } from '../k8s/api/index.ts';
import type { Kustomization } from '../k8s/api/kustomization.ts';
import type { KubeClient } from '../k8s/client.ts';
import { installCrds } from '../k8s/install-crds.ts';
import { createKubeClient } from '../k8s/kube-client.ts';
import type { KubeObject } from '../k8s/object.ts';
import type { Platform } from '../tools/platform/index.ts';
import { openTemporal, type TemporalAccess, uiLink } from './connect.ts';
import { inventoryTable } from './demo/inventory-table.ts';
import { demoNamespace, type DemoStep, demoSteps } from './demo/objects.ts';
import { type DemoRepository, publishDemo } from './demo/publish.ts';
import { CommandError } from './exit.ts';
import { followObject } from './follow.ts';
import { cliFieldManager, subjectOfObject } from './objects.ts';
import { shortDuration, shortHashes } from './output.ts';
import { isSuspended, readinessOf } from './readiness.ts';
import { oneLine } from './table.ts';
import { onInterrupt } from './watch-objects.ts';

const timeoutMs = 5 * 60_000;

/** Pushes the demo repository, applies its source and root, shows how all is reconciled, and says what to try. */
export async function runDemo(platform: Platform, report: (line: string) => void): Promise<void> {
  const repository = await publishDemo(platform);
  report(
    repository.isNew
      ? `✔ pushed the demo repository to ${repository.url}`
      : `✔ demo repository is at ${repository.url}`,
  );
  const kube = createKubeClient({ kubeconfig: platform.kubeconfigPath });
  const temporal = openTemporal({
    namespace: demoNamespace,
    kubeconfig: platform.kubeconfigPath,
    temporalAddress: platform.temporalAddress,
  });
  try {
    // The worker installs the kinds as well; whoever comes first.
    await installCrds(kube, { info: () => undefined });
    const startedAt = performance.now();
    const hasWorker = platform.pids.worker !== undefined;
    const follow = follower(kube, temporal, report);
    const objects: KubeObject[] = [];
    for (const { apply, targets } of demoSteps(repository.url)) {
      for (const object of apply) {
        await kube.apply(object, { fieldManager: cliFieldManager, force: true });
        report(`✔ applied ${subjectOfObject(object)}`);
      }
      if (hasWorker) objects.push(...(await follow(targets)));
    }
    if (!hasWorker) {
      report('► no worker runs, so nothing reconciles them: "continuo up" without --no-worker starts one');
      return;
    }
    const took = shortDuration(performance.now() - startedAt);
    const applied = objects.filter((object): object is Kustomization => object.kind === 'Kustomization');
    if (objects.every((object) => readinessOf(object).state === 'ready')) report(`✔ all is ready after ${took}`);
    report('');
    for (const line of await inventoryTable(kube, applied)) report(`  ${line}`);
    report('');
    for (const line of suggestions(platform, temporal, repository)) report(line);
  } finally {
    await temporal.close();
    await kube.close();
  }
}

type Target = DemoStep['targets'][number];

/** Gives objects once they are ready, following all of them at once; a suspended one is left as it is. */
function follower(
  kube: KubeClient,
  temporal: TemporalAccess,
  report: (line: string) => void,
): (targets: readonly Target[]) => Promise<KubeObject[]> {
  const stop = onInterrupt();
  const interrupt = stop.signal;
  const follow = async ({ kind, name }: Target): Promise<KubeObject> => {
    const ref = { namespace: demoNamespace, name };
    const isOver = (object: KubeObject): boolean =>
      isSuspended(object) || ['ready', 'stalled'].includes(readinessOf(object).state);
    const options = { kube, temporal, definition: kinds[kind], ref, isOver, timeoutMs, interrupt, report };
    const object = await followObject({ ...options, isAwaited: true });
    const { state, message, reason } = readinessOf(object);
    const text = shortHashes(oneLine(message));
    if (isSuspended(object)) report(`► ${subjectOfObject(object)} is suspended, it stays as it is`);
    else if (state === 'ready') report(`✔ ${subjectOfObject(object)}: ${text}`);
    else throw new CommandError(`${subjectOfObject(object)} is not ready (${reason}): ${text}`);
    return object;
  };
  return async (targets) => {
    try {
      return await Promise.all(targets.map(follow));
    } catch (error) {
      stop.abort(); // where one cannot become ready, nobody waits for the others
      throw error;
    }
  };
}

function suggestions(platform: Platform, temporal: TemporalAccess, repository: DemoRepository): string[] {
  const clone = fromHere(repository.clone);
  const environment = fromHere(join(platform.dataDir, 'env'));
  const workflow = uiLink(temporal, `kustomization/${demoNamespace}/staging`);
  const edit = `sed -i.bak 's/Hello from staging/Good morning/' apps/staging/kustomization.yaml`;
  return [
    'What to try, in another terminal:',
    '',
    `         . ${environment}`,
    '  edit   a commit becomes the cluster within seconds',
    `         (cd ${clone} && ${edit} && git commit -am 'Greet' && git push)`,
    '         npx continuo get ks --watch',
    '  break  what is deleted by hand comes back at once',
    '         kubectl -n staging delete service hello; kubectl -n staging get service hello',
    '  look   every reconcile is a workflow run: what woke it, its stages, what changed',
    '         npx continuo history ks staging',
    `         ${workflow}`,
    '  flux   the unmodified flux CLI works against it, where it is installed',
    '         flux get kustomizations && flux reconcile kustomization staging --with-source',
    '',
    `  The repository is ${repository.url}`,
  ];
}

/** A path as one types it here: relative (`./a/b`, for the shell's `.`) below this folder, else absolute. */
function fromHere(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') ? path : `./${short}`;
}
