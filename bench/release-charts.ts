// The charts of the phases about Helm releases, as files of a repository. Values decide what of them fails or hangs.
import { appName, appObjects } from './load.ts';

/**
 * `plain`: the four objects of the published Flux benchmark. `app`: a hook before, a ConfigMap, a Deployment, a test. `post`
 * has a hook after as well, which runs when all is ready.
 */
export type ChartName = 'plain' | 'app' | 'post';

/** What a release of these charts may be told. */
export interface ChartValues {
  /** In the ConfigMap and in the Deployment's image. */
  v: string;
  /** The pods of the Deployment never become ready. */
  unready?: boolean;
  /** Seconds after which the Deployment counts as failed while its pods are not ready. @default 600 */
  deadline?: number;
  /** This hook never ends. */
  hangs?: 'before' | 'after' | 'test';
  /** This hook fails. */
  fails?: 'before' | 'after' | 'test';
}

const config = `apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  v: {{ .Values.v | quote }}
  chart: {{ .Chart.Version | quote }}
`;

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  progressDeadlineSeconds: {{ .Values.deadline | default 600 }}
  selector: { matchLabels: { app: {{ .Release.Name }} } }
  template:
    metadata:
      labels:
        app: {{ .Release.Name }}
        {{- if .Values.unready }}
        continuo.dev/unready: "true"
        {{- end }}
    spec:
      containers: [{ name: main, image: "example/web:{{ .Values.v }}" }]
`;

const commandOf = (hook: string): string =>
  `["sh", "-c", "exit {{ if eq (.Values.fails | default "") "${hook}" }}1{{ else }}0{{ end }}"]`;

const job = (name: string, events: string): string => `apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-${name}
  annotations: { "helm.sh/hook": "${events}" }
spec:
  backoffLimit: 0
  template:
    metadata:
      labels:
        hook-of: {{ .Release.Name }}
        {{- if eq (.Values.hangs | default "") "${name}" }}
        continuo.dev/unready: "true"
        {{- end }}
    spec:
      restartPolicy: Never
      containers: [{ name: main, image: example/hook, command: ${commandOf(name)} }]
`;

const test = `apiVersion: v1
kind: Pod
metadata:
  name: {{ .Release.Name }}-test
  annotations: { "helm.sh/hook": test }
  {{- if eq (.Values.hangs | default "") "test" }}
  labels: { continuo.dev/unready: "true" }
  {{- end }}
spec:
  restartPolicy: Never
  containers: [{ name: main, image: example/test, command: ${commandOf('test')} }]
`;

const version = '{{ .Values.v }}';
const plain = appObjects(0, version)
  .map((object) => JSON.stringify(object).replaceAll(appName(0), '{{ .Release.Name }}'))
  .join('\n---\n');

const shared = {
  'templates/config.yaml': config,
  'templates/deployment.yaml': deployment,
  'templates/before.yaml': job('before', 'pre-install,pre-upgrade,pre-rollback,pre-delete'),
  'templates/test.yaml': test,
};
const charts: Readonly<Record<ChartName, Record<string, string>>> = {
  plain: { 'templates/all.yaml': plain },
  app: shared,
  post: { ...shared, 'templates/after.yaml': job('after', 'post-install,post-upgrade,post-rollback') },
};

/** All charts at a version, by path in the repository. */
export function chartFiles(version: string, values: Partial<ChartValues> = {}): Record<string, string> {
  const files = Object.entries(charts).flatMap(([name, templates]) => [
    [`charts/${name}/Chart.yaml`, `apiVersion: v2\nname: ${name}\nversion: ${version}\n`],
    [`charts/${name}/values.yaml`, `${JSON.stringify({ v: '0', ...values })}\n`],
    ...Object.entries(templates).map(([path, content]) => [`charts/${name}/${path}`, content]),
  ]);
  return Object.fromEntries(files) as Record<string, string>;
}
