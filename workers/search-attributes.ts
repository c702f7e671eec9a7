// The search attributes must be known to the Temporal namespace before a workflow sets them.
import proto from '@temporalio/proto';
import type { Connection } from '@temporalio/client';
import { searchAttributes } from '../workflows/search-attributes.ts';

/** Registers what is missing; on a server that has all of them it costs one request. */
export async function ensureSearchAttributes(connection: Connection, namespace: string): Promise<void> {
  const { customAttributes = {} } = await connection.operatorService.listSearchAttributes({ namespace });
  const missing = Object.values(searchAttributes).filter((key) => !(key.name in customAttributes));
  if (missing.length === 0) return;
  const keyword = proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD;
  await connection.operatorService.addSearchAttributes({
    namespace,
    searchAttributes: Object.fromEntries(missing.map((key) => [key.name, keyword])),
  });
}
