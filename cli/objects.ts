// Reading objects of our kinds, with errors that say what to do.
import { type KindDefinition, resourceOf } from '../k8s/api/definition.ts';
import type { KubeClient, ResourceInfo } from '../k8s/client.ts';
import { type KubeObject, refOf, subjectOf } from '../k8s/object.ts';
import { CommandError } from './exit.ts';
import { objectRefOf, wordOf } from './kinds.ts';

/** Whose fields the CLI's changes are. */
export const cliFieldManager = 'continuo-cli';

/** The object. Throws a {@link CommandError} when there is none. */
export async function readObject(
  kube: KubeClient,
  definition: KindDefinition,
  namespace: string,
  name: string,
): Promise<KubeObject> {
  await servedResource(kube, definition);
  const object = await kube.get(objectRefOf(definition, { namespace, name }));
  if (object) return object;
  throw new CommandError(
    `${definition.kind}/${namespace}/${name} not found (NotFound): see "continuo get ${wordOf(definition)} -A"`,
  );
}

/** How the server addresses the kind. Throws a {@link CommandError} when it does not serve it. */
export async function servedResource(kube: KubeClient, definition: KindDefinition): Promise<ResourceInfo> {
  const { group, version, kind } = resourceOf(definition);
  const resource = await kube.resourceFor(group, version, kind);
  if (resource) return resource;
  throw new CommandError(
    `kind ${kind} of ${group}/${version} is not served (NoKindMatch): its CustomResourceDefinition is installed by ` +
      'a worker when it starts, has one run?',
  );
}

/** `Kustomization/flux-system/demo`. */
export function subjectOfObject(object: KubeObject): string {
  return subjectOf(refOf(object));
}
