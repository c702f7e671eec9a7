// References from one object to another.
import * as z from 'zod';
import { stringMap, withRules } from './fields.ts';

/** A reference to an object in the same namespace. */
export function localRef(description: string) {
  return z.object({ name: z.string().describe('Name of the object, in the same namespace.') }).describe(description);
}
export type LocalRef = z.infer<ReturnType<typeof localRef>>;

/** `certSecretRef`, of the kinds that speak TLS. */
export const certSecretRef = localRef(
  'Secret with `ca.crt`, and `tls.crt` with `tls.key` for a client certificate.',
).optional();

/** `proxySecretRef`, of the kinds that may go through a proxy. */
export const proxySecretRef = localRef(
  'Secret with `address` of a proxy, and `username` and `password` for it.',
).optional();

/** A reference to an object that may be in another namespace. */
export function namespacedRef(description: string) {
  return z
    .object({
      name: z.string().describe('Name of the object.'),
      namespace: z.string().optional().describe('Namespace of the object; unset: that of the referring object.'),
    })
    .describe(description);
}

/** A reference to an object of any kind. */
export const ObjectKindRef = z.object({
  apiVersion: z.string().optional().describe('API version; unset: the one that the cluster prefers.'),
  kind: z.string().describe('Kind of the object.'),
  name: z.string().describe('Name of the object.'),
  namespace: z.string().optional().describe('Namespace of the object; unset: that of the referring object.'),
});
export type ObjectKindRef = z.infer<typeof ObjectKindRef>;

/** An entry of `dependsOn`. */
export const DependencyRef = z.object({
  apiVersion: z
    .string()
    .optional()
    .describe('API version of the object to wait for; unset: the one of its kind. Not one of Flux’s fields.'),
  kind: z
    .string()
    .optional()
    .describe('Kind of the object to wait for; unset: the kind of this one. Not one of Flux’s fields.'),
  name: z.string().describe('Name of the object to wait for.'),
  namespace: z.string().optional().describe('Its namespace; unset: that of this object.'),
  readyExpr: z
    .string()
    .optional()
    .describe('CEL expression over `self` and `dep` that decides readiness in place of the built-in rule.'),
});
export type DependencyRef = z.infer<typeof DependencyRef>;

/** The kinds that events can come from and that webhooks can wake (contract 1.10). */
export const eventKinds = [
  'Bucket',
  'GitRepository',
  'Kustomization',
  'HelmRelease',
  'HelmChart',
  'HelmRepository',
  'ImageRepository',
  'ImagePolicy',
  'ImageUpdateAutomation',
  'OCIRepository',
  'ArtifactGenerator',
  'ExternalArtifact',
] as const;

/** One object, or all objects that carry certain labels, of one kind of ours. */
export const EventObjectRef = z.object({
  apiVersion: z.string().optional().describe('API version of the objects.'),
  kind: z.enum(eventKinds).describe('Kind of the objects.'),
  name: z.string().min(1).max(253).describe('Name of the object; `*` stands for all of the kind.'),
  namespace: z
    .string()
    .min(1)
    .max(253)
    .optional()
    .describe('Namespace of the objects; unset: that of this object. `*` needs the name `*` as well.'),
  matchLabels: stringMap('Labels that the objects must all carry; needs the name `*`.').optional(),
});
export type EventObjectRef = z.infer<typeof EventObjectRef>;

/** How to reach another cluster: a stored kubeconfig, or the settings of a workload identity. */
export const KubeConfigRef = withRules(
  z
    .object({
      secretRef: z
        .object({
          name: z.string().describe('Name of the Secret.'),
          key: z.string().optional().describe('Key that holds the kubeconfig; unset: `value`, then `value.yaml`.'),
        })
        .optional()
        .describe('Secret in the same namespace with a self-contained kubeconfig.'),
      configMapRef: localRef(
        'ConfigMap with the settings (`provider`, `cluster`, `address`, …) to log in without a stored secret.',
      ).optional(),
    })
    .describe('The remote cluster to reconcile; exactly one of `secretRef` and `configMapRef`.'),
  [
    {
      rule: 'has(self.secretRef) != has(self.configMapRef)',
      message: 'exactly one of spec.kubeConfig.secretRef and spec.kubeConfig.configMapRef must be set',
    },
  ],
);
export type KubeConfigRef = z.infer<typeof KubeConfigRef>;

/** Who in other namespaces may refer to the object. */
export const AccessFrom = z
  .object({
    namespaceSelectors: z
      .array(z.object({ matchLabels: stringMap('Labels of the namespace; empty: any namespace.').optional() }))
      .describe('A namespace may refer to this object when one of these fits.'),
  })
  .describe('Which other namespaces may refer to this object.');
export type AccessFrom = z.infer<typeof AccessFrom>;

/** The Kubernetes label selector. */
export const LabelSelector = z
  .object({
    matchLabels: stringMap('Labels with exactly these values.').optional(),
    matchExpressions: z
      .array(
        z.object({
          key: z.string().describe('Label that the requirement is about.'),
          operator: z.string().describe('`In`, `NotIn`, `Exists` or `DoesNotExist`.'),
          values: z
            .array(z.string())
            .optional()
            .describe('Values for `In` and `NotIn`.')
            .meta({ 'x-kubernetes-list-type': 'atomic' }),
        }),
      )
      .optional()
      .describe('Requirements that must all hold.')
      .meta({ 'x-kubernetes-list-type': 'atomic' }),
  })
  .meta({ 'x-kubernetes-map-type': 'atomic' });
export type LabelSelector = z.infer<typeof LabelSelector>;
