// Records histories for test/replay from a Temporal server: `TEMPORAL_ADDRESS=… node tools/record-histories.ts LABEL
// WORKFLOW_ID[@RUN_ID] …` writes test/replay/histories/<workflow type>.<LABEL>-<n>.json. Look through a history before it
// is committed: it must be of test objects.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';

const [label, ...ids] = process.argv.slice(2);
if (!label || ids.length === 0) {
  console.error('usage: node tools/record-histories.ts LABEL WORKFLOW_ID[@RUN_ID] ...');
  process.exit(2);
}
const connection = await Connection.connect({ address: process.env.TEMPORAL_ADDRESS ?? '127.0.0.1:7233' });
const client = new Client({ connection });
for (const [index, id] of ids.entries()) {
  const [workflowId = '', runId] = id.split('@');
  const handle = client.workflow.getHandle(workflowId, runId);
  const { type } = await handle.describe();
  const path = join(import.meta.dirname, '..', 'test', 'replay', 'histories', `${type}.${label}-${index}.json`);
  writeFileSync(path, `${historyToJSON(await handle.fetchHistory())}\n`);
  console.log(`✔ ${path}`);
}
await connection.close();
