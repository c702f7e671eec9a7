import { describe, expect, test, vi } from 'vitest';
import { KubeApiError, type KubeClient } from './client.ts';
import { createReach } from './reach.ts';

const refused = new KubeApiError('the API server at s did not answer: ECONNREFUSED', 0, 'ECONNREFUSED');
const ref = { group: '', version: 'v1', kind: 'ConfigMap', namespace: 'a', name: 'b' };
const configMaps = { group: '', version: 'v1', kind: 'ConfigMap', resource: 'configmaps', namespaced: true };

/** A server that is there or not; it counts what it is asked. */
function setup() {
  const server = { error: undefined as Error | undefined, probes: 0, requests: 0, nowMs: 0 };
  const reach = createReach({
    server: 's',
    probe: async () => {
      server.probes++;
      if (server.error) throw server.error;
    },
    now: () => server.nowMs,
  });
  const client = {
    get: async () => {
      server.requests++;
      if (server.error) throw server.error;
      return undefined;
    },
    list: async () => ({ resourceVersion: '1', items: [] }),
  } as unknown as KubeClient;
  return { server, reach, client };
}

describe('check', () => {
  test('asks a server once for all who want to know, and believes its answer for a while', async () => {
    const { server, reach } = setup();
    await Promise.all([reach.check(), reach.check(), reach.check()]);
    server.nowMs = 9_000;
    await reach.check();
    expect(server.probes).toBe(1);
    server.nowMs = 11_000;
    await reach.check();
    expect(server.probes).toBe(2);
    reach.close();
  });

  test('does not ask a server again at once that was away a moment ago', async () => {
    const { server, reach } = setup();
    server.error = refused;
    await expect(reach.check()).rejects.toBe(refused);
    await expect(reach.check()).rejects.toBe(refused);
    expect(server.probes).toBe(1);
    server.error = undefined;
    server.nowMs = 6_000;
    await reach.check();
    reach.close();
  });

  test('takes a refusal of this one request for an answer', async () => {
    const { server, reach } = setup();
    server.error = new KubeApiError('forbidden', 403, 'Forbidden');
    await reach.check();
    reach.close();
  });

  test.each([
    ['refused credentials', new KubeApiError('Unauthorized', 401, 'Unauthorized'), 'refused the credentials'],
    ['a server that starts', new KubeApiError('starting', 503, ''), 'is not ready: starting'],
    ['no answer in time', new Error('timed out'), 'did not answer within 3s'],
  ])('says of %s what it is', async (_title, error, expected) => {
    const { server, reach } = setup();
    server.error = error;
    await expect(reach.check()).rejects.toThrow(expected);
    reach.close();
  });
});

describe('a guarded client', () => {
  test('fails at once while the server is away, without a request', async () => {
    const { server, reach, client } = setup();
    server.error = refused;
    await expect(reach.check()).rejects.toBe(refused);
    await expect(reach.guard(client).get(ref)).rejects.toBe(refused);
    expect(server.requests).toBe(0);
    reach.close();
  });

  test('ends what is under way when the server goes away', async () => {
    const { server, reach } = setup();
    const hanging = {
      get: (_ref: unknown, options: { signal: AbortSignal }) =>
        new Promise((_resolve, reject) => {
          options.signal.addEventListener('abort', () => reject(options.signal.reason as Error));
        }),
    } as unknown as KubeClient;
    const pending = reach.guard(hanging).get(ref);
    server.error = refused;
    await expect(reach.check()).rejects.toBe(refused);
    await expect(pending).rejects.toBe(refused);
    reach.close();
  });

  test('has a server asked whose answer did not come', async () => {
    const { server, reach, client } = setup();
    server.error = refused;
    await expect(reach.guard(client).get(ref)).rejects.toBe(refused);
    await vi.waitFor(() => expect(server.probes).toBe(1));
    reach.close();
  });
});

describe('a patient client', () => {
  test('lists once the server is back, and whoever listens is told', async () => {
    const { server, reach, client } = setup();
    server.error = refused;
    await expect(reach.check()).rejects.toBe(refused);
    const told: string[] = [];
    reach.onBack(() => told.push('back'));
    const listed = reach.patient(client).list(configMaps);
    server.error = undefined;
    server.nowMs = 6_000;
    await reach.check();
    expect(await listed).toEqual({ resourceVersion: '1', items: [] });
    expect(told).toEqual(['back']);
    reach.close();
  });

  test('ends with its signal, and with the connection', async () => {
    const { server, reach, client } = setup();
    server.error = refused;
    await expect(reach.check()).rejects.toBe(refused);
    const aborting = new AbortController();
    const aborted = reach.patient(client).list(configMaps, { signal: aborting.signal });
    const left = reach.patient(client).list(configMaps);
    aborting.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow('enough');
    reach.close();
    await expect(left).rejects.toThrow('was closed');
  });
});
