import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { buildComponents, type ComponentOptions, componentNames, formatCommand, portNames } from './components.ts';

const options: ComponentOptions = {
  dataDir: '/data',
  ports: Object.fromEntries(portNames.map((name, index) => [name, 20_001 + index])) as ComponentOptions['ports'],
  binaries: Object.fromEntries(
    [...componentNames, 'node', 'kustomize', 'helm', 'sops'].map((name) => [name, `/bin/${name}`]),
  ),
  modules: {
    gitServer: '/src/git-server.ts',
    worker: '/src/worker.ts',
    workflowThread: '/src/thread.ts',
    stages: '/src/stages',
  },
  fsync: false,
  temporalAddress: '127.0.0.1:20003',
  workerKubeconfig: '/data/pki/worker.kubeconfig',
};

test('prints the commands of the whole platform as the golden file has them', async () => {
  const printed = buildComponents(componentNames, options).map(formatCommand).join('\n');

  await expect(printed).toMatchFileSnapshot(join(import.meta.dirname, 'testdata', 'up.txt'));
});

test('keeps the order of starting whatever order the names come in', () => {
  const names = buildComponents(['worker', 'git', 'etcd'], options).map(({ name }) => name);

  expect(names).toEqual(['etcd', 'git', 'worker']);
});

test('waits for the disk only when told to', () => {
  const [etcd, temporal] = buildComponents(['etcd', 'temporal'], { ...options, fsync: true });

  expect(etcd?.args).not.toContain('--unsafe-no-fsync');
  expect(temporal?.args).toContain('--sqlite-pragma=synchronous=NORMAL');
});

test('names every port of a process in the component that listens on it', () => {
  const ports = buildComponents(componentNames, options).flatMap((component) => component.ports);

  expect([...ports].sort()).toEqual([...portNames].sort());
});

test('puts words that a shell would split or expand in quotes', () => {
  const [git] = buildComponents(['git'], { ...options, dataDir: "/my data/it's" });

  expect(git && formatCommand(git)).toContain(`'--root=/my data/it'\\''s/git'`);
});

test('reads the stage files that lie in the folder', () => {
  const [kwok] = buildComponents(['kwok'], { ...options, modules: { ...options.modules, stages: stagesFolder } });
  const files = kwok?.args.filter((arg) => arg.startsWith('--config=')).map((arg) => arg.slice('--config='.length));

  expect(files?.map((file) => readFileSync(file, 'utf8').includes('kind: Stage'))).toEqual([true, true]);
});

const stagesFolder = join(import.meta.dirname, 'stages');
