// An ExternalArtifact, whose status its producer writes, as the source of a Kustomization (contract 1.6).
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { packArchive } from '../../activities/artifact/pack-archive.ts';
import type { KubeClient } from '../../k8s/client.ts';
import { refOf } from '../../k8s/object.ts';
import { startCli } from './cli-process.ts';
import { configMap, connectCluster, kustomization } from './harness.ts';
import { createScenario } from './scenario.ts';

let client: KubeClient;
let producer: Server;
const tarballs = new Map<string, Buffer>();

beforeAll(async () => {
  client = connectCluster();
  producer = createServer((incoming, response) => {
    const tarball = tarballs.get(incoming.url ?? '');
    response.writeHead(tarball ? 200 : 404).end(tarball);
  });
  await new Promise<void>((resolve) => producer.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  producer.closeAllConnections();
  await new Promise((resolve) => producer.close(resolve));
  await client.close();
});

/** What a producer puts into the status. */
async function produce(value: string): Promise<object> {
  const content = async (): Promise<Uint8Array> => Buffer.from(configMap('settings', { v: value }));
  const chunks: Buffer[] = [];
  for await (const chunk of packArchive([{ path: 'settings.yaml', isExecutable: false, content }])) chunks.push(chunk);
  const tarball = Buffer.concat(chunks);
  const digest = `sha256:${createHash('sha256').update(tarball).digest('hex')}`;
  tarballs.set(`/${value}.tar.gz`, tarball);
  const { port } = producer.address() as AddressInfo;
  return {
    artifact: {
      digest,
      path: `${value}.tar.gz`,
      url: `http://127.0.0.1:${port}/${value}.tar.gz`,
      revision: `latest@${digest}`,
      lastUpdateTime: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
      size: tarball.length,
    },
  };
}

it('is applied, and applied again as soon as its producer writes another artifact', async () => {
  const scenario = await createScenario(client, 'external', {});
  const { namespace } = scenario;
  const object = await client.create({
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'ExternalArtifact',
    metadata: { namespace, name: 'made' },
    spec: {},
  });
  const write = async (value: string): Promise<string> => {
    const status = (await produce(value)) as { artifact: { revision: string } };
    await client.patch(refOf(object), { status }, { type: 'merge', subresource: 'status' });
    return status.artifact.revision;
  };
  const first = await write('one');
  await client.create(
    kustomization(namespace, 'app', 'made', { sourceRef: { kind: 'ExternalArtifact', name: 'made' } }),
  );
  await scenario.applied(first);
  expect((await scenario.configMap('settings'))?.data).toEqual({ v: 'one' });

  await scenario.applied(await write('two'));
  expect((await scenario.configMap('settings'))?.data).toEqual({ v: 'two' });

  const run = async (...words: string[]) => await startCli([...words, '-n', namespace]).result;
  expect(await run('reconcile', 'ks', 'app', '--with-source')).toMatchObject({ code: 0, stderr: '' });
  expect((await run('get', 'source', 'external')).stdout).toMatch(
    /made\s+latest@sha256:\w{8}\s+-\s+Unknown\s+waiting for/,
  );
  expect(await run('reconcile', 'source', 'external', 'made')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('cannot be reconciled: its status is written by who makes it') as string,
  });
});
