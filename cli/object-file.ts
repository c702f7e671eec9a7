// An object of ours as it lies in a file, for one that is not in the cluster, or not yet as it is to be:
// `--kustomization-file`, `--helmrelease-file`.
import { readFile } from 'node:fs/promises';
import { parseAllDocuments } from 'yaml';
import { type KindDefinition, storedVersionOf } from '../k8s/api/definition.ts';
import { type KubeObject, splitApiVersion } from '../k8s/object.ts';
import { CommandError, usageError } from './exit.ts';

const maxBytes = 4 * 1024 * 1024;

/**
 * The object of a kind and a name in a YAML file, which may hold other objects as well; without a namespace it gets the
 * given one. Throws a {@link CommandError} that names file and field.
 */
export async function readObjectFile(
  file: string,
  definition: KindDefinition,
  name: string,
  namespace: string,
): Promise<KubeObject> {
  const flag = `--${definition.singular}-file`;
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw usageError(`${flag} "${file}" cannot be read (${error.code ?? error.message})`);
  });
  if (text.length > maxBytes) throw usageError(`${flag} "${file}" has more than ${maxBytes} bytes`);
  return parseObjectFile(text, file, definition, name, namespace);
}

/** The same from a text. */
export function parseObjectFile(
  text: string,
  file: string,
  definition: KindDefinition,
  name: string,
  namespace: string,
): KubeObject {
  const documents = parseAllDocuments(text, { logLevel: 'silent' });
  const objects: KubeObject[] = [];
  for (const document of Array.isArray(documents) ? documents : []) {
    const [error] = document.errors;
    if (error) throw new CommandError(`"${file}" is no valid YAML: ${error.message.split('\n', 1)[0]}`);
    const value: unknown = document.toJS();
    if (typeof value === 'object' && value !== null) objects.push(value as KubeObject);
  }
  const { group, kind } = definition;
  const found = objects.filter(
    (object) => object.kind === kind && splitApiVersion(String(object.apiVersion)).group === group,
  );
  const object = found.find(({ metadata }) => metadata?.name === name);
  if (!object) {
    const names = found.map(({ metadata }) => `"${metadata?.name}"`).join(', ');
    throw new CommandError(`"${file}" has no ${kind} "${name}" of ${group}: it has ${names || 'none'}`);
  }
  const spec = definition.spec.safeParse(object.spec);
  if (!spec.success) {
    const problems = spec.error.issues.map(({ path, message }) => `spec.${path.join('.')}: ${message}`);
    throw new CommandError(`${kind} "${name}" in "${file}" is not valid: ${problems.join('; ')}`);
  }
  const metadata = { ...object.metadata, namespace: object.metadata.namespace ?? namespace };
  return { ...object, apiVersion: `${group}/${storedVersionOf(definition)}`, kind, metadata, spec: spec.data };
}
