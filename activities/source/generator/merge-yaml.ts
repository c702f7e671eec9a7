// Strategy `Merge`: two YAML files become one, as Helm merges values (contract 1.7). Pure.
import { messageOf } from '../../errors.ts';
import { mergeMaps } from '../helm/values-files.ts';

/** YAML as maps; written with sorted keys. */
export interface MapYaml {
  /** The map in one document. Throws an `Error` that says where it is wrong. */
  read(text: string): Record<string, unknown>;
  write(value: unknown): string;
}

/** The largest file that is merged. */
export const maxMergedBytes = 4 * 1024 * 1024;

/** `over` merged onto `base`; several documents in one of them are merged in their order. Throws an `Error`. */
export function mergeYaml(base: Uint8Array, over: Uint8Array, yaml: MapYaml): Uint8Array {
  const documents = [documentsOf(base, 'the file that is there', yaml), documentsOf(over, 'the file to merge', yaml)];
  return Buffer.from(yaml.write(documents.flat().reduce(mergeMaps, {})));
}

function documentsOf(content: Uint8Array, what: string, yaml: MapYaml): Record<string, unknown>[] {
  if (content.byteLength > maxMergedBytes)
    throw new Error(`${what} is larger than the ${maxMergedBytes} bytes allowed`);
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(content);
    return text.split(/^---(?=\s|$).*$/m).map((document) => yaml.read(document));
  } catch (error) {
    throw new Error(`${what} is no YAML map: ${messageOf(error)}`, { cause: error });
  }
}
