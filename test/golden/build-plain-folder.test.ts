// The fast path for plain folders against the real kustomize binary on the same files.
import { afterAll, describe, expect, test } from 'vitest';
import { canonicalJson } from '../../activities/artifact/manifests.ts';
import { buildPlainFolder, plainKinds } from '../../activities/build/plain-folder.ts';
import { readManifests } from '../../activities/build/read-manifests.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { createFixture } from './kustomize-fixture.ts';

const fixture = createFixture();
afterAll(() => fixture.remove());

/** A realistic body for the kinds that have one worth comparing; the others get a label alone. */
const bodies: Record<string, string> = {
  Deployment: `spec:
  replicas: 0x3
  strategy: {}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {creationTimestamp: null, labels: {app: web}, annotations: {checksum: "0123"}}
    spec:
      serviceAccountName: default
      containers:
      - name: web
        image: nginx:1.27 # pinned
        command: ["sh", "-c", 'echo "it''s" && exit 0']
        ports: [{containerPort: 0o120}]
        env:
        - {name: A, value: "yes"}
        - {name: B, value: off}
        - {name: EMPTY, value: ""}
        - {name: REF, valueFrom: {configMapKeyRef: {name: web, key: a}}}
        resources: {limits: {cpu: 500m, memory: 1.5Gi}}
      volumes:
      - name: config
        configMap: {name: web, defaultMode: 0644}
      - name: none
        emptyDir: {}`,
  ConfigMap: `data:
  file.conf: |
    # not a comment
    key = value

    last: line
  folded: >-
    one
    two
  number: "012"
  version: "1.10"
  emptyText: ''
  unicode: "\\u00e9 ü 🎉"
  tab: "a\\tb"
  yes: "yes"
  on: no
binaryData: {}`,
  Secret: `type: Opaque
stringData: {password: "p: #1", token: abc}
data: {key: aGVsbG8=}`,
  StatefulSet: `spec:
  serviceName: web
  replicas: 2
  volumeClaimTemplates:
  - metadata: {name: data, namespace: kept, creationTimestamp: null}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
status: {replicas: 0}`,
  Service: `spec:
  clusterIP: None
  ports:
  - {port: 80, targetPort: http, protocol: TCP, nodePort: 30_080}
  selector: {app: web}`,
  HorizontalPodAutoscaler: `spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 1
  maxReplicas: 10
  metrics: null`,
  NetworkPolicy: `spec:
  podSelector: {}
  ingress:
  - from:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: other}}`,
  Role: `rules:
- apiGroups: [""]
  resources: [pods]
  verbs: ["*"]
  resourceNames: [web]`,
  ClusterRole: `aggregationRule:
  clusterRoleSelectors: [{matchLabels: {a: b}}]
rules: []`,
  Ingress: `spec:
  ingressClassName: nginx
  tls: [{hosts: [a.example.org], secretName: web}]
  rules:
  - host: a.example.org
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}`,
  CronJob: `spec:
  schedule: "*/5 * * * *"
  suspend: true
  jobTemplate: {metadata: {annotations: {}}, spec: {template: {metadata: {annotations: {}, labels: {}}, spec: {restartPolicy: Never, containers: [{name: a, image: b, args: [-1, 1.50, 1e3, ~]}]}}}}`,
  PriorityClass: 'value: 1000000\nglobalDefault: false\ndescription: |+\n  text\n\n',
  PersistentVolumeClaim: 'spec: {accessModes: [ReadWriteOnce], storageClassName: "", volumeName: web}',
  ServiceAccount: 'secrets: [{name: web}]\nimagePullSecrets: [{name: web}]\nautomountServiceAccountToken: False',
};

function manifest(id: string, name: string, metadata = ''): string {
  const kind = id.slice(id.lastIndexOf('/') + 1);
  const apiVersion = id.slice(0, id.lastIndexOf('/'));
  return `apiVersion: ${apiVersion}
kind: ${kind}
metadata:
  name: ${name}
${metadata}${bodies[kind] ?? ''}
`;
}

const generatedNamespace = 'namespace: apps\n';

function expectEqual(files: Record<string, string>, targetNamespace: string | undefined): void {
  const read = Object.entries(files).map(([path, text]) => readManifests(text, path));
  const fast = buildPlainFolder(read, targetNamespace);
  const resources = JSON.stringify(Object.keys(files));
  const kustomization = `${targetNamespace ? generatedNamespace : ''}resources: ${resources}\n`;
  const real = fixture.kustomize({ ...files, 'kustomization.yaml': kustomization }, '');

  expect(fast, 'the fast path was not taken').toBeDefined();
  expect(sorted(fast ?? [])).toEqual(sorted(real));
}

function sorted(objects: KubeObject[]): string[] {
  return objects.map((object) => canonicalJson(object)).sort();
}

describe('buildPlainFolder', () => {
  test.each([undefined, 'apps'])(
    'gives every kind of its table as kustomize does, target namespace %s',
    (namespace) => {
      const files: Record<string, string> = {};
      for (const [index, id] of [...plainKinds.keys()].entries()) {
        files[`plain-${index}.yaml`] = manifest(id, `web-${index}`);
        files[`other-namespace-${index}.yaml`] = manifest(
          id,
          `elsewhere-${index}`,
          '  namespace: elsewhere\n  labels: {app: web, tier: "1"}\n  annotations: {note: "# a"}\n',
        );
      }
      expectEqual(files, namespace);
    },
  );

  test.each([undefined, 'apps'])('reads documents, comments and odd layout as kustomize does (%s)', (namespace) => {
    expectEqual(
      {
        'many.yaml': `# leading comment\n---\n\n---\n${manifest('v1/ConfigMap', 'a')}---\n# only a comment\n---\n${manifest('v1/Service', 'a')}...\n`,
        'json.yml': '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "json"}, "data": {"a": "1\\n2"}}',
        'crlf.yaml': manifest('v1/ConfigMap', 'crlf').replaceAll('\n', '\r\n'),
        'bare-metadata.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bare, labels: {}}\n',
        'finalizers.yaml':
          'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: f\n  finalizers: [a/b]\n  ownerReferences: []\n  creationTimestamp: null\n',
      },
      namespace,
    );
  });

  test('reads the scalars of go-yaml as kustomize does', () => {
    const scalars =
      'yes on NO y 0644 0o17 0x1F 0x_1F 1_000 1:20 ~ Null NuLL null 1e3 1E5 1.10 -0 -0.0 0b11 -0b11 True TRUE +5 .5 -.5 ' +
      '08 012 -012 1. 1_0.5_0 1e400 0_7 -0x10 100000000000000000000.0 1e21 0.0000001 123456789.123456789 0o8 _1 1e+06 ' +
      '. ._5 0x 0_x1 12e03 0e 00 = 9007199254740991 18446744073709551616 -9223372036854775809 1.2.3 1/2 a~b -';
    const lines = scalars.split(' ').map((scalar, index) => `  k${index}: ${scalar === '-' ? '"-"' : scalar}`);
    expectEqual(
      { 'a.yaml': `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n${lines.join('\n')}\n` },
      undefined,
    );
  });

  test.each([
    ['a kind that is in no table', 'apiVersion: example.org/v1\nkind: Thing\nmetadata: {name: a}\n'],
    [
      'a binding, whose subjects change too',
      'apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: a}\n',
    ],
    ['a Namespace, whose name changes', 'apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n'],
    [
      'a timestamp, which kustomize rewrites',
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {d: 2001-01-01}\n',
    ],
    ['an anchor', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: &n a}\ndata: {d: *n}\n'],
    ['a list', 'apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n'],
    ['an explicit tag', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {d: !!str 1}\n'],
    [
      'an annotation of kustomize',
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {config.kubernetes.io/local-config: "true"}}\n',
    ],
    ['a number as a label', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {x: 1}}\n'],
    [
      'empty annotations, which kustomize drops',
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {}}\n',
    ],
    ['a generated name', 'apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: a-}\n'],
  ])('leaves %s to the binary', (_, text) => {
    expect(buildPlainFolder([readManifests(text, 'a.yaml')], undefined)).toBeUndefined();
  });

  test('leaves objects that a target namespace makes equal to the binary', () => {
    const text = ['one', 'two']
      .map((namespace) => manifest('v1/ConfigMap', 'a', `  namespace: ${namespace}\n`))
      .join('---\n');

    expect(buildPlainFolder([readManifests(text, 'a.yaml')], 'apps')).toBeUndefined();
  });
});
