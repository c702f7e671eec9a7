import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { KubeObject } from '../../k8s/object.ts';
import { healthOf, healthRules } from './status.ts';

const nowMs = Date.parse('2026-01-01T00:00:10Z');

/** `Kind: yaml` in flow style, so that a case is one line. */
function object(apiVersion: string, kind: string, body: string): KubeObject {
  const fields = parse(body) as Record<string, unknown>;
  const metadata = {
    name: 'a',
    generation: 2,
    creationTimestamp: '2026-01-01T00:00:00Z',
    ...(fields.metadata as object),
  };
  return { apiVersion, kind, ...fields, metadata };
}

const rolledOut =
  'replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2, observedGeneration: 2, conditions: [{type: Available, status: "True"}, {type: Progressing, status: "True", reason: NewReplicaSetAvailable}]';

const cases: [string, string, string, string, RegExp?][] = [
  // what holds for every kind
  ['example.org/v1', 'Thing', 'metadata: {deletionTimestamp: x}', 'Terminating'],
  [
    'example.org/v1',
    'Thing',
    'status: {observedGeneration: 1, conditions: [{type: Ready, status: "True"}]}',
    'InProgress',
    /generation 2 is not observed yet, the latest observed one is 1/,
  ],
  [
    'example.org/v1',
    'Thing',
    'status: {conditions: [{type: Reconciling, status: "True", message: busy}]}',
    'InProgress',
    /^busy$/,
  ],
  [
    'example.org/v1',
    'Thing',
    'status: {conditions: [{type: Stalled, status: "True", message: stuck}]}',
    'Failed',
    /^stuck$/,
  ],
  [
    'example.org/v1',
    'Thing',
    'status: {observedGeneration: 2, conditions: [{type: Ready, status: "True"}]}',
    'Current',
  ],
  [
    'example.org/v1',
    'Thing',
    'status: {conditions: [{type: Ready, status: "False", message: no}]}',
    'InProgress',
    /^no$/,
  ],
  ['example.org/v1', 'Thing', 'status: {conditions: [{type: Ready, status: Unknown}]}', 'InProgress'],
  ['example.org/v1', 'Thing', '{}', 'Current'],
  ['example.org/v1', 'Thing', 'status: {conditions: [null]}', 'Current'],
  ['v1', 'Namespace', 'status: {phase: Active}', 'Current'],
  ['v1', 'Namespace', '{metadata: {deletionTimestamp: x}, status: {phase: Terminating}}', 'Terminating'],
  ['networking.k8s.io/v1', 'Ingress', 'status: {loadBalancer: {}}', 'Current'],
  [
    'autoscaling/v2',
    'HorizontalPodAutoscaler',
    'status: {conditions: [{type: AbleToScale, status: "False"}]}',
    'Current',
  ],
  // workloads
  ['apps/v1', 'Deployment', '{}', 'InProgress', /0 of 1 replicas are created/],
  ['apps/v1', 'Deployment', `{spec: {replicas: 2, progressDeadlineSeconds: 600}, status: {${rolledOut}}}`, 'Current'],
  [
    'apps/v1',
    'Deployment',
    '{spec: {replicas: 0}, status: {observedGeneration: 2, conditions: [{type: Available, status: "True"}]}}',
    'Current',
  ],
  [
    'apps/v1',
    'Deployment',
    '{spec: {replicas: 2}, status: {replicas: 2, updatedReplicas: 1}}',
    'InProgress',
    /1 of 2 replicas are updated/,
  ],
  [
    'apps/v1',
    'Deployment',
    '{spec: {replicas: 2}, status: {replicas: 3, updatedReplicas: 2}}',
    'InProgress',
    /1 old replicas have yet to go/,
  ],
  [
    'apps/v1',
    'Deployment',
    '{spec: {replicas: 2}, status: {replicas: 2, updatedReplicas: 2, availableReplicas: 1}}',
    'InProgress',
    /1 of 2 replicas are available/,
  ],
  [
    'apps/v1',
    'Deployment',
    '{spec: {replicas: 1}, status: {replicas: 1, updatedReplicas: 1, availableReplicas: 1, readyReplicas: 1}}',
    'InProgress',
    /not available/,
  ],
  [
    'apps/v1',
    'Deployment',
    '{spec: {replicas: 1}, status: {replicas: 1, conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded, message: late}]}}',
    'Failed',
    /^late$/,
  ],
  [
    'apps/v1',
    'StatefulSet',
    '{spec: {replicas: 2}, status: {replicas: 1}}',
    'InProgress',
    /1 of 2 replicas are created/,
  ],
  [
    'apps/v1',
    'StatefulSet',
    '{spec: {replicas: 1}, status: {replicas: 1, readyReplicas: 1, currentReplicas: 1, currentRevision: a, updateRevision: b}}',
    'InProgress',
    /not reached every replica/,
  ],
  [
    'apps/v1',
    'StatefulSet',
    '{spec: {replicas: 1}, status: {replicas: 1, readyReplicas: 1, currentReplicas: 1, currentRevision: a, updateRevision: a}}',
    'Current',
  ],
  [
    'apps/v1',
    'StatefulSet',
    '{spec: {replicas: 3, updateStrategy: {rollingUpdate: {partition: 2}}}, status: {replicas: 3, readyReplicas: 3, updatedReplicas: 0}}',
    'InProgress',
    /0 of 1 replicas of the partition/,
  ],
  [
    'apps/v1',
    'StatefulSet',
    '{spec: {replicas: 3, updateStrategy: {rollingUpdate: {partition: 2}}}, status: {replicas: 3, readyReplicas: 3, updatedReplicas: 1}}',
    'Current',
  ],
  ['apps/v1', 'StatefulSet', '{spec: {updateStrategy: {type: OnDelete}}, status: {}}', 'Current'],
  ['apps/v1', 'DaemonSet', '{}', 'InProgress', /not known yet/],
  ['apps/v1', 'DaemonSet', 'status: {observedGeneration: 2, desiredNumberScheduled: 0}', 'Current'],
  [
    'apps/v1',
    'DaemonSet',
    'status: {observedGeneration: 2, desiredNumberScheduled: 2, currentNumberScheduled: 2, updatedNumberScheduled: 1}',
    'InProgress',
    /1 of 2 pods are updated/,
  ],
  [
    'apps/v1',
    'DaemonSet',
    'status: {observedGeneration: 2, desiredNumberScheduled: 1, currentNumberScheduled: 1, updatedNumberScheduled: 1, numberAvailable: 1, numberReady: 1}',
    'Current',
  ],
  [
    'apps/v1',
    'ReplicaSet',
    '{status: {replicas: 1, fullyLabeledReplicas: 1, availableReplicas: 0}}',
    'InProgress',
    /0 of 1 replicas are available/,
  ],
  [
    'apps/v1',
    'ReplicaSet',
    '{status: {conditions: [{type: ReplicaFailure, status: "True", message: quota}]}}',
    'InProgress',
    /^quota$/,
  ],
  [
    'v1',
    'ReplicationController',
    '{status: {replicas: 1, fullyLabeledReplicas: 1, availableReplicas: 1, readyReplicas: 1}}',
    'Current',
  ],
  // pods
  ['v1', 'Pod', 'status: {phase: Succeeded}', 'Current'],
  ['v1', 'Pod', 'status: {phase: Failed}', 'Failed'],
  ['v1', 'Pod', 'status: {phase: Running, conditions: [{type: Ready, status: "True"}]}', 'Current'],
  ['v1', 'Pod', 'status: {phase: Running, conditions: [{type: Ready, status: "False"}]}', 'InProgress'],
  [
    'v1',
    'Pod',
    'status: {phase: Running, containerStatuses: [{name: web, state: {waiting: {reason: CrashLoopBackOff}}}]}',
    'Failed',
    /web/,
  ],
  ['v1', 'Pod', 'status: {phase: Pending}', 'InProgress'],
  ['v1', 'Pod', '{}', 'InProgress'],
  [
    'v1',
    'Pod',
    'status: {phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: no node}]}',
    'InProgress',
    /not scheduled yet/,
  ],
  [
    'v1',
    'Pod',
    '{metadata: {creationTimestamp: "2025-12-31T23:59:00Z"}, status: {phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: no node}]}}',
    'Failed',
    /no node/,
  ],
  ['v1', 'Pod', 'status: {phase: Lost}', 'Unknown'],
  // the others
  ['v1', 'PersistentVolumeClaim', 'status: {phase: Bound}', 'Current'],
  ['v1', 'PersistentVolumeClaim', 'status: {phase: Pending}', 'InProgress'],
  ['v1', 'Service', 'spec: {type: LoadBalancer}', 'InProgress'],
  ['v1', 'Service', 'spec: {type: LoadBalancer, clusterIP: 10.0.0.1}', 'Current'],
  ['v1', 'Service', 'spec: {}', 'Current'],
  [
    'batch/v1',
    'Job',
    '{spec: {completions: 3}, status: {succeeded: 1, active: 1}}',
    'InProgress',
    /1 of 3 pods have completed/,
  ],
  ['batch/v1', 'Job', 'status: {conditions: [{type: Complete, status: "True"}]}', 'Current'],
  ['batch/v1', 'Job', 'status: {conditions: [{type: Failed, status: "True", message: gave up}]}', 'Failed', /gave up/],
  ['batch/v1', 'CronJob', '{}', 'Current'],
  ['policy/v1', 'PodDisruptionBudget', 'status: {observedGeneration: 2}', 'Current'],
  ['policy/v1', 'PodDisruptionBudget', 'status: {observedGeneration: 1}', 'InProgress'],
  ['v1', 'ConfigMap', '{}', 'Current'],
  ['v1', 'Secret', '{}', 'Current'],
  ['apiextensions.k8s.io/v1', 'CustomResourceDefinition', '{}', 'InProgress'],
  [
    'apiextensions.k8s.io/v1',
    'CustomResourceDefinition',
    'status: {conditions: [{type: NamesAccepted, status: "True"}, {type: Established, status: "True"}]}',
    'Current',
  ],
  [
    'apiextensions.k8s.io/v1',
    'CustomResourceDefinition',
    'status: {conditions: [{type: NamesAccepted, status: "False", message: taken}]}',
    'Failed',
    /taken/,
  ],
  [
    'apiextensions.k8s.io/v1',
    'CustomResourceDefinition',
    'status: {conditions: [{type: Established, status: "False", reason: Installing}]}',
    'InProgress',
  ],
  [
    'apiextensions.k8s.io/v1',
    'CustomResourceDefinition',
    'status: {conditions: [{type: Established, status: "False", reason: NotAccepted}]}',
    'Failed',
  ],
];

describe('healthOf', () => {
  test.each(cases)('%s %s with %s is %s', (apiVersion, kind, body, status, message = /./) => {
    const health = healthOf(object(apiVersion, kind, body), nowMs);

    expect(health).toMatchObject({ status, message: expect.stringMatching(message) });
  });

  test('an object that does not exist is NotFound', () => {
    expect(healthOf(undefined)).toEqual({ status: 'NotFound', message: 'does not exist' });
  });

  test('a pod without a node is to be looked at again when its time is up', () => {
    const body = 'status: {phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: Unschedulable}]}';

    expect(healthOf(object('v1', 'Pod', body), nowMs).reconsiderAfterMs).toBe(5000);
  });

  test('every rule of the table has a case here', () => {
    const seen = new Set(
      cases.map(([version, kind]) => (version.includes('/') ? `${version.split('/')[0]}/${kind}` : kind)),
    );

    expect(Object.keys(healthRules).filter((name) => !seen.has(name))).toEqual([]);
  });
});
