import { describe, expect, test } from 'vitest';
import {
  type Directory,
  expectedOf,
  type Fault,
  healingActions,
  kustomizationNames,
  randomOf,
  randomStep,
  type Repository,
  spoilingCommit,
  startingWorld,
  type Step,
  type World,
  worldAfter,
} from './sequence-model.ts';

function walk(seed: number, count: number): { steps: Step[]; world: World } {
  const random = randomOf(seed);
  let world = startingWorld(random);
  const steps: Step[] = [];
  for (let i = 0; i < count; i++) {
    const step = randomStep(random, world);
    steps.push(step);
    world = worldAfter(world, step);
  }
  return { steps, world };
}

/** `name: Kustomizations that have it in one of their directories` for names that more than one has. */
function claimedTwice(repository: Repository): string[] {
  const owners = new Map<string, Set<string>>();
  for (const [directory, { items }] of Object.entries(repository)) {
    for (const { name } of items)
      owners.set(name, (owners.get(name) ?? new Set()).add(directory.split('/')[0] as string));
  }
  return [...owners].filter(([, set]) => set.size > 1).map(([name, set]) => `${name}: ${[...set].join(' ')}`);
}

const seeds = Array.from({ length: 30 }, (_, seed) => seed);

describe('random steps', () => {
  test('are the same for the same seed, and others for another', () => {
    expect(walk(7, 50)).toEqual(walk(7, 50));
    expect(walk(7, 50)).not.toEqual(walk(8, 50));
  });

  test.each(seeds)('leave a repository in which no directory is empty and no name has two owners (seed %i)', (seed) => {
    const { repository } = walk(seed, 100).world;
    expect(claimedTwice(repository)).toEqual([]);
    for (const { items } of Object.values(repository)) {
      expect(items.length).toBeGreaterThan(0);
      expect(new Set(items.map(({ name }) => name)).size).toBe(items.length);
    }
  });

  test('cover everything that may happen', () => {
    const steps = seeds.flatMap((seed) => walk(seed, 50).steps);
    const seen = new Set<string>(steps.map((step) => step.do));
    const wanted = ['commit', 'edit', 'delete', 'suspend', 'resume', 'request', 'replace', 'spec', 'values', 'kill'];
    expect([...seen].sort()).toEqual([...wanted, 'start', 'outage'].sort());
  });

  test.each(seeds)('can be healed (seed %i)', (seed) => {
    let { world } = walk(seed, 40);
    for (const action of healingActions(world)) world = worldAfter(world, action);
    expect(healingActions(world)).toEqual([]);
    for (const name of kustomizationNames) {
      expect(expectedOf(name, world)).toMatchObject({ reason: 'ReconciliationSucceeded', isHeld: false });
    }
  });
});

describe('what is expected after a last commit', () => {
  const before = startingWorld(randomOf(1));

  /** The world after a commit that changes the first object of each Kustomization and spoils some. */
  function after(faults: Partial<Record<string, Fault>>): World {
    const entries = Object.entries(before.repository).map(([directory, { items }]): [string, Directory] => {
      const fault = faults[directory];
      return [
        directory,
        { items: items.map((item) => ({ ...item, value: item.value + 100 })), ...(fault && { fault }) },
      ];
    });
    return { ...before, repository: Object.fromEntries(entries) };
  }

  const isNew = (world: World, name: (typeof kustomizationNames)[number]): boolean =>
    expectedOf(name, world, before).objects.every(({ value }) => value > 100 || value === 0);

  test.each<[string, Partial<Record<string, Fault>>, Record<string, [string, boolean, boolean]>]>([
    ['nothing', {}, { base: ['ReconciliationSucceeded', true, false], app: ['ReconciliationSucceeded', true, false] }],
    [
      'base',
      { 'base/a': 'broken' },
      { base: ['BuildFailed', false, false], app: ['DependencyNotReady', false, false] },
    ],
    [
      'the health of base',
      { 'base/a': 'failing' },
      { base: ['HealthCheckFailed', true, false], app: ['DependencyNotReady', false, false] },
    ],
    ['the health of solo', { 'solo/a': 'failing' }, { solo: ['HealthCheckFailed', false, true] }],
    ['an object of solo', { 'solo/a': 'refused' }, { solo: ['ReconciliationFailed', false, true] }],
    ['an object of edge', { 'edge/a': 'mistyped' }, { edge: ['ReconciliationFailed', false, false] }],
    ['the files of solo', { 'solo/a': 'broken' }, { solo: ['BuildFailed', false, false] }],
    ['a directory that is not built', { 'edge/b': 'broken' }, { edge: ['ReconciliationSucceeded', true, false] }],
  ])('that spoils %s: reason, whether the new objects are there, and whether it is held', (_title, faults, wanted) => {
    const world = after(faults);
    const names = kustomizationNames.filter((name) => name in wanted);
    const seen = names.map((name) => {
      const { reason, isHeld } = expectedOf(name, world, before);
      return [name, [reason, isNew(world, name), isHeld]];
    });
    expect(Object.fromEntries(seen)).toEqual(wanted);
  });

  test('app has the value of the ConfigMap, the others have the variable', () => {
    const commons = kustomizationNames.map((name) => expectedOf(name, before).objects[0]?.common);
    expect(commons).toEqual(['${common}', 'first', '${common}', '${common}']);
  });

  test.each(seeds)('a spoiling commit changes every Kustomization (seed %i)', (seed) => {
    const world = worldAfter(before, { do: 'commit', ...spoilingCommit(randomOf(seed), before) });
    for (const name of kustomizationNames) {
      expect(world.repository[`${name}/a`]?.items).not.toEqual(before.repository[`${name}/a`]?.items);
    }
  });
});
