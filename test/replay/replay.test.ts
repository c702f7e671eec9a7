// Histories that were recorded from real runs are replayed with the workflows as they are now: a change that would break
// a running installation fails here. New ones are recorded with `node tools/record-histories.ts`.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, test } from 'vitest';
import { workflowTypes } from '../../workflows/messages.ts';

const directory = join(import.meta.dirname, 'histories');
const recorded = readdirSync(directory).filter((name) => name.endsWith('.json'));

beforeAll(() => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
});

describe('recorded histories', () => {
  test('there are some of every workflow', () => {
    const types = new Set(recorded.map((name) => name.split('.')[0]));

    expect([...types].sort()).toEqual(['cluster', ...Object.values(workflowTypes)].sort());
  });

  test('all replay with the workflows as they are now', async () => {
    const histories = recorded.map((name) => ({
      workflowId: name,
      history: JSON.parse(readFileSync(join(directory, name), 'utf8')) as object,
    }));
    const workflowsPath = join(import.meta.dirname, '..', '..', 'workflows', 'index.ts');

    const failures: string[] = [];
    for await (const result of Worker.runReplayHistories({ workflowsPath }, histories)) {
      if (result.error) failures.push(`${result.workflowId}: ${result.error.message}`);
    }

    expect(failures).toEqual([]);
  }, 120_000);
});
