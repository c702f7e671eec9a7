// Pure builders of the platform's processes: options → binary, arguments, environment, ports, readiness. Nothing here
// touches the machine; runner.ts starts what these functions describe and `continuo up --dry-run` prints it.
import { join } from 'node:path';

/** The names of the processes, in the order in which they are started. */
export const componentNames = [
  'etcd',
  'temporal',
  'git',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kwok',
  'worker',
] as const;
/** One of `componentNames`. */
export type ComponentName = (typeof componentNames)[number];

/** The ports that the processes listen on, all on 127.0.0.1. */
export const portNames = [
  'etcd',
  'etcdPeer',
  'temporal',
  'temporalUi',
  'git',
  'apiserver',
  'controllerManager',
  'scheduler',
  'kwok',
  'worker',
] as const;
/** One of `portNames`. */
export type PortName = (typeof portNames)[number];

/** How the runner learns that a process serves. */
export type Readiness =
  | {
      kind: 'http';
      url: string /** PEM file to verify with; without it a certificate is not verified. */;
      caFile?: string;
    }
  | { kind: 'grpc'; address: string /** Name for the gRPC health protocol. */; service: string };

/** One process. */
export interface Component {
  name: ComponentName;
  binary: string;
  args: string[];
  /** Added to the environment of the platform's own process. */
  env: Record<string, string>;
  ports: PortName[];
  readiness: Readiness;
}

/** What the builders need to know. All paths are absolute. */
export interface ComponentOptions {
  dataDir: string;
  ports: Record<PortName, number>;
  /** Path by binary name; `node` runs our own modules. */
  binaries: Record<string, string>;
  /** Modules of ours to run, and the folder of kwok's stages. */
  modules: { gitServer: string; worker: string; workflowThread: string; stages: string };
  /** Whether etcd and Temporal wait for the disk on every write. Off, a power cut may corrupt their data. */
  fsync: boolean;
  /** Address of the Temporal server that the worker uses. */
  temporalAddress: string;
  /** Kubeconfig that the worker uses. */
  workerKubeconfig: string;
}

/** Search attributes of every Continuo workflow, registered in the development server as type Keyword. */
export const searchAttributes = [
  'ContinuoKind',
  'ContinuoNamespace',
  'ContinuoName',
  'ContinuoCluster',
  'ContinuoRevision',
  'ContinuoTrigger',
  'ContinuoOutcome',
] as const;

/**
 * The development server has one shard and limits made for a shared service: by default it loads 20 batches of tasks a
 * second, which costs 50 ms a step once 200 workflows are woken together.
 */
export const temporalLimits: Record<string, number | boolean> = {
  'history.transferProcessorMaxPollRPS': 10_000,
  'history.transferProcessorMaxPollHostRPS': 10_000,
  'history.timerProcessorMaxPollRPS': 10_000,
  'history.timerProcessorMaxPollHostRPS': 10_000,
  'history.visibilityProcessorMaxPollRPS': 10_000,
  'history.visibilityProcessorMaxPollHostRPS': 10_000,
  'history.rps': 100_000,
  'history.persistenceMaxQPS': 100_000,
  'matching.rps': 100_000,
  'matching.persistenceMaxQPS': 100_000,
  'frontend.rps': 100_000,
  'frontend.namespaceRPS': 100_000,
  'frontend.persistenceMaxQPS': 100_000,
  'system.visibilityPersistenceMaxReadQPS': 100_000,
  'system.visibilityPersistenceMaxWriteQPS': 100_000,
};

const loopback = '127.0.0.1';

function buildEtcd(options: ComponentOptions): Component {
  const client = `http://${loopback}:${options.ports.etcd}`;
  const peer = `http://${loopback}:${options.ports.etcdPeer}`;
  return {
    name: 'etcd',
    binary: options.binaries['etcd'] ?? 'etcd',
    args: [
      '--name=continuo',
      `--data-dir=${join(options.dataDir, 'etcd')}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=continuo=${peer}`,
      '--log-level=warn',
      ...(options.fsync ? [] : ['--unsafe-no-fsync']),
    ],
    env: {},
    ports: ['etcd', 'etcdPeer'],
    readiness: { kind: 'http', url: `${client}/health` },
  };
}

/** Paths of what `credentials.ts` and the API server write. */
export function credentialPaths(
  dataDir: string,
): Record<'directory' | 'apiserverCert' | 'authority' | 'tokens' | 'saKey' | 'saPub', string> {
  const directory = join(dataDir, 'pki');
  return {
    directory,
    apiserverCert: join(directory, 'apiserver.crt'),
    authority: join(directory, 'ca.crt'),
    tokens: join(directory, 'tokens.csv'),
    saKey: join(directory, 'service-account.key'),
    saPub: join(directory, 'service-account.pub'),
  };
}

/** Kubeconfig of one of the platform's own users, for example `kwok`. */
export function componentKubeconfig(dataDir: string, user: string): string {
  return join(credentialPaths(dataDir).directory, `${user}.kubeconfig`);
}

function buildApiserver(options: ComponentOptions): Component {
  const paths = credentialPaths(options.dataDir);
  return {
    name: 'kube-apiserver',
    binary: options.binaries['kube-apiserver'] ?? 'kube-apiserver',
    args: [
      `--etcd-servers=http://${loopback}:${options.ports.etcd}`,
      `--bind-address=${loopback}`,
      `--advertise-address=${loopback}`,
      `--secure-port=${options.ports.apiserver}`,
      // Empty of certificates at first: the server makes one for 127.0.0.1 and its own authority.
      `--cert-dir=${paths.directory}`,
      `--token-auth-file=${paths.tokens}`,
      '--authorization-mode=RBAC',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${paths.saPub}`,
      `--service-account-signing-key-file=${paths.saKey}`,
      '--service-cluster-ip-range=10.0.0.0/16',
      '--endpoint-reconciler-type=none',
      // Else every new node is tainted and only the node lifecycle controller, which does not run, takes that away.
      '--disable-admission-plugins=TaintNodesByCondition',
      '--allow-privileged=true',
      '--profiling=false',
    ],
    env: {},
    ports: ['apiserver'],
    readiness: {
      kind: 'http',
      url: `https://${loopback}:${options.ports.apiserver}/readyz`,
      caFile: paths.apiserverCert,
    },
  };
}

/** Rates of Kubernetes clients; their defaults of 20 to 50 a second are what a rollout of hundreds waits for. */
const clientRates = ['--kube-api-qps=1000', '--kube-api-burst=2000'];

function buildControllerManager(options: ComponentOptions): Component {
  const paths = credentialPaths(options.dataDir);
  return {
    name: 'kube-controller-manager',
    binary: options.binaries['kube-controller-manager'] ?? 'kube-controller-manager',
    args: [
      `--kubeconfig=${componentKubeconfig(options.dataDir, 'controller-manager')}`,
      `--bind-address=${loopback}`,
      `--secure-port=${options.ports.controllerManager}`,
      // A lease renewed every two seconds would be the larger part of an idle platform's requests.
      '--leader-elect=false',
      '--controllers=*,-node-lifecycle-controller,-node-ipam-controller',
      `--service-account-private-key-file=${paths.saKey}`,
      `--root-ca-file=${paths.authority}`,
      '--profiling=false',
      ...clientRates,
    ],
    env: {},
    ports: ['controllerManager'],
    readiness: { kind: 'http', url: `https://${loopback}:${options.ports.controllerManager}/healthz` },
  };
}

function buildScheduler(options: ComponentOptions): Component {
  return {
    name: 'kube-scheduler',
    binary: options.binaries['kube-scheduler'] ?? 'kube-scheduler',
    args: [
      `--kubeconfig=${componentKubeconfig(options.dataDir, 'scheduler')}`,
      `--bind-address=${loopback}`,
      `--secure-port=${options.ports.scheduler}`,
      '--leader-elect=false',
      '--profiling=false',
      ...clientRates,
    ],
    env: {},
    ports: ['scheduler'],
    readiness: { kind: 'http', url: `https://${loopback}:${options.ports.scheduler}/healthz` },
  };
}

/** The stage files, in the order in which kwok reads them. */
export const stageFiles = ['node.yaml', 'pod.yaml'] as const;

function buildKwok(options: ComponentOptions): Component {
  return {
    name: 'kwok',
    binary: options.binaries['kwok'] ?? 'kwok',
    args: [
      `--kubeconfig=${componentKubeconfig(options.dataDir, 'kwok')}`,
      ...stageFiles.map((file) => `--config=${join(options.modules.stages, file)}`),
      '--manage-all-nodes=true',
      // No controller asks whether the node is alive, so nothing needs its lease renewed.
      '--node-lease-duration-seconds=0',
      '--cidr=10.128.0.0/12',
      `--server-address=${loopback}:${options.ports.kwok}`,
    ],
    env: {},
    ports: ['kwok'],
    readiness: { kind: 'http', url: `http://${loopback}:${options.ports.kwok}/readyz` },
  };
}

function buildTemporal(options: ComponentOptions): Component {
  const limits = Object.entries(temporalLimits).map(([key, value]) => `--dynamic-config-value=${key}=${value}`);
  const pragmas = ['journal_mode=WAL', `synchronous=${options.fsync ? 'NORMAL' : 'OFF'}`];
  return {
    name: 'temporal',
    binary: options.binaries['temporal'] ?? 'temporal',
    args: [
      'server',
      'start-dev',
      `--db-filename=${join(options.dataDir, 'temporal.db')}`,
      `--ip=${loopback}`,
      `--port=${options.ports.temporal}`,
      `--ui-port=${options.ports.temporalUi}`,
      '--ui-disable-news-fetch',
      '--namespace=default',
      '--log-level=warn',
      ...pragmas.map((pragma) => `--sqlite-pragma=${pragma}`),
      ...searchAttributes.map((name) => `--search-attribute=${name}=Keyword`),
      ...limits,
    ],
    env: {},
    ports: ['temporal', 'temporalUi'],
    readiness: {
      kind: 'grpc',
      address: `${loopback}:${options.ports.temporal}`,
      service: 'temporal.api.workflowservice.v1.WorkflowService',
    },
  };
}

const quietNode = '--disable-warning=ExperimentalWarning';

function buildGit(options: ComponentOptions): Component {
  return {
    name: 'git',
    binary: options.binaries['node'] ?? 'node',
    args: [
      quietNode,
      options.modules.gitServer,
      `--root=${join(options.dataDir, 'git')}`,
      `--port=${options.ports.git}`,
    ],
    env: {},
    ports: ['git'],
    readiness: { kind: 'http', url: `http://${loopback}:${options.ports.git}/healthz` },
  };
}

function buildWorker(options: ComponentOptions): Component {
  return {
    name: 'worker',
    binary: options.binaries['node'] ?? 'node',
    args: [quietNode, `--import=${options.modules.workflowThread}`, options.modules.worker],
    env: {
      KUBECONFIG: options.workerKubeconfig,
      // glibc keeps a heap for each of the many threads that Temporal's core and libuv have; two are enough.
      MALLOC_ARENA_MAX: '2',
      TEMPORAL_ADDRESS: options.temporalAddress,
      CONTINUO_DATA_DIR: join(options.dataDir, 'worker'),
      CONTINUO_HTTP_ADDRESS: `${loopback}:${options.ports.worker}`,
      CONTINUO_KUSTOMIZE: options.binaries['kustomize'] ?? 'kustomize',
      CONTINUO_HELM: options.binaries['helm'] ?? 'helm',
      CONTINUO_SOPS: options.binaries['sops'] ?? 'sops',
    },
    ports: ['worker'],
    readiness: { kind: 'http', url: `http://${loopback}:${options.ports.worker}/readyz` },
  };
}

const builders: Record<ComponentName, (options: ComponentOptions) => Component> = {
  etcd: buildEtcd,
  temporal: buildTemporal,
  git: buildGit,
  'kube-apiserver': buildApiserver,
  'kube-controller-manager': buildControllerManager,
  'kube-scheduler': buildScheduler,
  kwok: buildKwok,
  worker: buildWorker,
};

/** The named processes, in the order of `componentNames`. */
export function buildComponents(names: readonly ComponentName[], options: ComponentOptions): Component[] {
  return componentNames.filter((name) => names.includes(name)).map((name) => builders[name](options));
}

/** The command line of a process as a shell would take it, one argument a line. */
export function formatCommand(component: Component): string {
  const env = Object.entries(component.env).map(([key, value]) => `${key}=${quote(value)}`);
  const words = component.args.map(quote);
  return `# ${component.name}\n${[...env, quote(component.binary), ...words].join(' \\\n  ')}\n`;
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
