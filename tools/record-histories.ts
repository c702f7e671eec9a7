// Records histories for test/replay with the `temporal` CLI: `. .continuo/env; node tools/record-histories.ts LABEL
// WORKFLOW_ID[@RUN_ID] …` writes test/replay/histories/<workflow type>.<LABEL>-<n>.json. Look through a history before it
// is committed: it must be of test objects.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface History {
  events: { workflowExecutionStartedEventAttributes?: { workflowType: { name: string } } }[];
}

const [label, ...ids] = process.argv.slice(2);
if (!label || ids.length === 0) {
  console.error('usage: node tools/record-histories.ts LABEL WORKFLOW_ID[@RUN_ID] ...');
  process.exit(2);
}
const address = process.env.TEMPORAL_ADDRESS ?? '127.0.0.1:7233';
for (const [index, id] of ids.entries()) {
  const [workflowId = '', runId] = id.split('@');
  const show = ['workflow', 'show', '--address', address, '--workflow-id', workflowId, '--output', 'json'];
  const text = execFileSync('temporal', runId ? [...show, '--run-id', runId] : show, { encoding: 'utf8' });
  const history = JSON.parse(text) as History;
  const type = history.events[0]?.workflowExecutionStartedEventAttributes?.workflowType.name ?? 'unknown';
  const path = join(import.meta.dirname, '..', 'test', 'replay', 'histories', `${type}.${label}-${index}.json`);
  writeFileSync(path, `${JSON.stringify(history)}\n`);
  console.log(`✔ ${path}`);
}
