import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../k8s/object.ts';
import { createLostArtifacts } from './lost-artifacts.ts';

const path = 'gitrepository/apps/demo/abc.tar.gz';
const source = {
  kind: 'GitRepository',
  metadata: { namespace: 'apps', name: 'demo' },
  status: { artifact: { path, digest: 'sha256:1' } },
} as unknown as KubeObject;

function open(isThere: boolean) {
  const woken: string[] = [];
  const lost = createLostArtifacts({
    objects: {
      peek: (kind, { namespace, name }) =>
        `${kind}/${namespace}/${name}` === 'GitRepository/apps/demo' ? source : undefined,
    },
    store: { verify: async () => isThere },
  });
  lost.onLost(({ kind, namespace, name }) => woken.push(`${kind}/${namespace}/${name}`));
  return { lost, woken };
}

describe('a path that somebody asks for', () => {
  it.each([
    ['the artifact of a status, as it was', true, path, true],
    ['another file of the source', false, 'gitrepository/apps/demo/old.tar.gz', true],
    ['a source that does not exist', false, 'gitrepository/apps/none/abc.tar.gz', true],
    ['a kind that is no source', false, 'secret/apps/demo/abc.tar.gz', true],
    ['a short path', false, 'gitrepository', true],
    ['the artifact of a status, lost', false, path, false],
  ])('%s', async (_name, isThere, asked, expected) => {
    const { lost, woken } = open(isThere);
    expect(await lost.isIntact(asked)).toBe(expected);
    expect(woken).toEqual(expected ? [] : ['GitRepository/apps/demo']);
  });

  it('wakes its source once for many who ask', async () => {
    const { lost, woken } = open(false);
    for (let time = 0; time < 10; time++) await lost.isIntact(path);
    expect(woken).toHaveLength(1);
  });
});

it('wakes the ArtifactGenerator of an ExternalArtifact, and nobody for one that a stranger made', async () => {
  const woken: string[] = [];
  const external = (name: string, spec?: object) => ({
    metadata: { namespace: 'apps', name },
    ...(spec ? { spec } : {}),
    status: { artifact: { path: `externalartifact/apps/${name}/abc.tar.gz`, digest: 'sha256:1' } },
  });
  const madeBy = (kind: string) => ({ sourceRef: { kind, name: 'gen' } });
  const objects = [
    external('ours', madeBy('ArtifactGenerator')),
    external('theirs', madeBy('Factory')),
    external('bare'),
  ];
  const lost = createLostArtifacts({
    objects: { peek: (_kind, { name }) => objects.find((one) => one.metadata.name === name) as unknown as KubeObject },
    store: { verify: async () => false },
  });
  lost.onLost(({ kind, namespace, name }) => woken.push(`${kind}/${namespace}/${name}`));

  for (const { status } of objects) expect(await lost.isIntact(status.artifact.path)).toBe(false);
  expect(woken).toEqual(['ArtifactGenerator/apps/gen']);
});
