// Texts out of the Secrets that values come from: no message and no log line may hold one.
import type { HelmRelease } from '../../k8s/api/helm-release.ts';
import type { ReferencedObjects } from '../../k8s/referenced-objects.ts';
import { readValuesYaml } from './values-yaml.ts';

/** What is shorter is in too many words to be hidden, and is no secret. */
const minLength = 6;
const maxTexts = 2_000;

/** Every text that a Secret of `spec.valuesFrom` holds, as a whole and as the values in it. */
export async function hiddenTextsOf(
  { metadata, spec }: Pick<HelmRelease, 'metadata' | 'spec'>,
  references: Pick<ReferencedObjects, 'get'>,
): Promise<string[]> {
  const texts = new Set<string>();
  for (const { kind, name, valuesKey = 'values.yaml' } of spec.valuesFrom ?? []) {
    if (kind !== 'Secret') continue;
    const secret = await references.get('Secret', metadata.namespace ?? '', name);
    const data = (secret?.data ?? {}) as Record<string, string>;
    const text = Buffer.from(data[valuesKey] ?? '', 'base64').toString('utf8');
    for (const found of textsIn(text)) if (found.length >= minLength && texts.size < maxTexts) texts.add(found);
  }
  return [...texts];
}

function textsIn(text: string): string[] {
  const texts = [text.trim()];
  const visit = (value: unknown): void => {
    if (typeof value === 'string') texts.push(value.trim());
    else if (typeof value === 'object' && value !== null) for (const one of Object.values(value)) visit(one);
    else if (typeof value === 'number' || typeof value === 'bigint') texts.push(String(value));
  };
  try {
    visit(readValuesYaml(text));
  } catch {
    // a single value at a path, which need not be YAML
  }
  return texts;
}
