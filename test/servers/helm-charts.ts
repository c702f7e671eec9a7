// Charts out of literals, packaged as artifacts hold them.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { packArchive } from '../../activities/artifact/pack-archive.ts';

/** Files of a chart by their path in it. */
export type ChartSources = Readonly<Record<string, string>>;

/** The bytes of a packaged chart; `root` is the directory in the archive. */
export async function packageChart(files: ChartSources, root = 'web'): Promise<Buffer> {
  const entries = Object.entries(files).map(([path, text]) => ({
    path: `${root}/${path}`,
    isExecutable: false,
    content: async () => Buffer.from(text),
  }));
  const chunks: Uint8Array[] = [];
  for await (const chunk of packArchive(entries)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Writes a packaged chart and gives its path. */
export async function writeChart(path: string, files: ChartSources): Promise<string> {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, await packageChart(files));
  return path;
}

/** A small chart: a ConfigMap with `message`, a ServiceAccount, a test that is a ConfigMap, and notes. */
export const webChart: ChartSources = {
  'Chart.yaml': 'apiVersion: v2\nname: web\nversion: 1.2.3\nappVersion: "7"\ndescription: a <small> chart & more\n',
  'values.yaml': 'message: hello\nreplicas: 1\n',
  'templates/configmap.yaml': `apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
  labels:
    app: web
data:
  message: {{ required "message is needed" .Values.message | quote }}
`,
  'templates/account.yaml': 'apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: {{ .Release.Name }}\n',
  'templates/test.yaml': `apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-test
  annotations:
    helm.sh/hook: test
`,
  'templates/NOTES.txt': 'message is {{ .Values.message }}\n',
};

/** A hook before the install that never ends, as its Job is suspended. */
export const waitingChart: ChartSources = {
  ...webChart,
  'templates/hook.yaml': `apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-before
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
spec:
  suspend: true
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: example.org/none}]
`,
};
