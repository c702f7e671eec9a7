// What a random sequence does to a repository, to a cluster and to what runs them, and how the cluster is to look at its
// end: pure rules. The same seed gives the same steps; only the moments at which they meet the engine differ.

/** `app` depends on `base`; `solo` is rolled back when a revision fails; `edge` stands alone. */
export const kustomizationNames = ['base', 'app', 'edge', 'solo'] as const;
export type KustomizationName = (typeof kustomizationNames)[number];

/** Each Kustomization has two directories, between which its `spec.path` changes. */
const variants = ['a', 'b'] as const;
type Variant = (typeof variants)[number];
/** Its own namespace, or the other one of the sequence, as `spec.targetNamespace`. */
export const targets = ['own', 'other'] as const;
export type Target = (typeof targets)[number];

/** One object of a directory. */
export interface Item {
  kind: 'ConfigMap' | 'Service' | 'Deployment';
  name: string;
  value: number;
}

/**
 * What is wrong with a directory: a file that is no YAML, objects that the API server refuses, or an object that fails
 * or never becomes healthy (only where health is waited for).
 */
export type Fault = 'broken' | 'refused' | 'mistyped' | 'failing' | 'pending';

export interface Directory {
  items: Item[];
  fault?: Fault;
}

export type Repository = Record<string, Directory>;

export interface KustomizationState {
  variant: Variant;
  target: Target;
  isSuspended: boolean;
}

/** All that the steps change, apart from what the engine makes of it. */
export interface World {
  /** By directory, `<Kustomization>/<variant>`. */
  repository: Repository;
  kustomizations: Record<KustomizationName, KustomizationState>;
  /** What the ConfigMap `values` says, which `app` substitutes; undefined: it does not exist. */
  value: string | undefined;
  isWorkerUp: boolean;
  /** The last value that an object was given: every change gives a new one. */
  lastValue: number;
}

export interface Commit {
  repository: Repository;
  /** The source is asked to look at once, as by a webhook; otherwise its interval has to do. */
  isAnnounced: boolean;
  says: string;
}

/** What is done; a `pick` in [0, 1) chooses among the objects that are in the cluster at that moment. */
export type Action =
  | ({ do: 'commit' } & Commit)
  | { do: 'edit'; pick: number; how: 'value' | 'extra' | 'owner' }
  | { do: 'delete'; pick: number }
  | { do: 'suspend' | 'resume' | 'request' | 'replace'; name: KustomizationName }
  | { do: 'spec'; name: KustomizationName; variant: Variant; target: Target }
  | { do: 'values'; value: string | undefined }
  /** SIGKILL of the worker, at once or in the middle of what a commit brings: after so many writes of it. */
  | { do: 'kill'; during?: { commit: Commit; afterWrites: number } }
  | { do: 'start' }
  /** The API server hangs, drops what it is asked (every other request was done all the same), or dies. */
  | { do: 'outage'; how: 'hang' | 'drop' | 'die'; ms: number; commit?: Commit };

export type Step = Action & { pauseMs: number };

export interface Random {
  /** A whole number from 0 to below the bound. */
  below(bound: number): number;
  /** True in so many of all cases, 0 to 1. */
  chance(share: number): boolean;
  pick<T>(list: readonly T[]): T;
  /** In [0, 1). */
  fraction(): number;
}

/** Numbers that depend on the seed alone. */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (bound: number): number => Math.floor(fraction() * bound);
  return {
    fraction,
    below,
    chance: (share) => fraction() < share,
    pick: (list) => list[below(list.length)] as (typeof list)[number],
  };
}

const directoryNames = kustomizationNames.flatMap((name) => variants.map((variant) => `${name}/${variant}`));
const names = Array.from({ length: 24 }, (_, i) => `n${i}`);
const ownerOf = (directory: string): KustomizationName => directory.split('/')[0] as KustomizationName;

/** The world before the first step: both directories of a Kustomization start alike. */
export function startingWorld(random: Random): World {
  const repository: Repository = {};
  let lastValue = 0;
  for (const [index, name] of kustomizationNames.entries()) {
    const count = 2 + random.below(3);
    const items = names.slice(index * 5, index * 5 + count).map((item) => newItem(random, name, item, ++lastValue));
    for (const variant of variants) repository[`${name}/${variant}`] = { items };
  }
  const state = (): KustomizationState => ({ variant: 'a', target: 'own', isSuspended: false });
  const kustomizations = { base: state(), app: state(), edge: state(), solo: state() };
  return { repository, kustomizations, value: 'first', isWorkerUp: true, lastValue };
}

/** A step that the world allows. */
export function randomStep(random: Random, world: World): Step {
  // Mostly short: what follows shall meet the engine at work.
  const pauseMs = Math.round(random.fraction() ** 2 * 1_500);
  if (!world.isWorkerUp && random.chance(0.4)) return { do: 'start', pauseMs };
  return { ...randomAction(random, world), pauseMs };
}

function randomAction(random: Random, world: World): Action {
  const name = random.pick(kustomizationNames);
  const { isSuspended, variant, target } = world.kustomizations[name];
  switch (random.below(20)) {
    case 0:
    case 1:
      return { do: 'edit', pick: random.fraction(), how: random.pick(['value', 'value', 'extra', 'owner']) };
    case 2:
    case 3:
      return { do: 'delete', pick: random.fraction() };
    case 4:
      return { do: isSuspended ? 'resume' : 'suspend', name };
    case 5:
      return { do: 'spec', name, variant: random.pick(variants), target };
    case 6:
      return { do: 'spec', name, variant, target: random.pick(targets) };
    case 7:
      return { do: 'values', value: random.chance(0.25) ? undefined : `value-${random.below(1_000)}` };
    case 8:
      return { do: 'request', name };
    case 9:
      // A suspended one leaves behind what it has applied, as it should.
      if (world.isWorkerUp && !isSuspended) return { do: 'replace', name };
      break;
    case 10:
    case 11:
      if (world.isWorkerUp) return { do: 'kill', ...(random.chance(0.7) ? { during: midway(random, world) } : {}) };
      break;
    case 12:
    case 13: {
      const how = random.pick(['hang', 'drop', 'drop', 'die'] as const);
      const ms = 500 + random.below(1_500);
      return { do: 'outage', how, ms, ...(random.chance(0.7) ? { commit: randomCommit(random, world) } : {}) };
    }
    default:
  }
  return { do: 'commit', ...randomCommit(random, world) };
}

function midway(random: Random, world: World): { commit: Commit; afterWrites: number } {
  return { commit: { ...randomCommit(random, world), isAnnounced: true }, afterWrites: random.below(4) };
}

/** One commit of up to four changes. */
export function randomCommit(random: Random, world: World): Commit {
  const repository = structuredClone(world.repository);
  const said: string[] = [];
  let { lastValue } = world;
  const count = 1 + random.below(4);
  for (let i = 0; i < count; i++) said.push(change(random, repository, ++lastValue));
  return { repository, isAnnounced: random.chance(0.7), says: said.join(', ') };
}

/** Changes one directory (or two, when an object goes from one to the other); says how. */
function change(random: Random, repository: Repository, value: number): string {
  const directory = random.pick(directoryNames);
  const { items, fault } = repository[directory] as Directory;
  const put = (into: string, list: Item[], wrong?: Fault): void => {
    repository[into] = { items: list, ...(wrong ? { fault: wrong } : {}) };
  };
  const item = random.pick(items);
  const others = items.filter((other) => other !== item);
  const free = freeNames(repository, ownerOf(directory)).filter((name) => !items.some((one) => one.name === name));
  switch (random.below(8)) {
    case 0:
      if (free.length === 0 || items.length > 7) break;
      put(directory, [...items, newItem(random, ownerOf(directory), random.pick(free), value)], fault);
      return `${directory} gets an object`;
    case 1:
      if (others.length === 0) break;
      put(directory, others, fault);
      return `${directory} loses ${item.name}`;
    case 2: {
      if (free.length === 0) break;
      const name = random.pick(free);
      put(directory, [...others, { ...item, name }], fault);
      return `${directory} renames ${item.name} to ${name}`;
    }
    case 3: {
      const to = random.pick(directoryNames.filter((one) => ownerOf(one) !== ownerOf(directory)));
      if (!handOver(repository, directory, to, item, value)) break;
      return `${item.name} goes from ${ownerOf(directory)} to ${to}`;
    }
    case 4: {
      const wrong = random.pick(faultsOf(ownerOf(directory)));
      put(directory, items, wrong);
      return `${directory} is ${wrong}`;
    }
    case 5:
      put(directory, items);
      return `${directory} is in order`;
    default:
  }
  put(directory, [...others, { ...item, value }], fault);
  return `${directory} changes ${item.name}`;
}

/** Gives an object to another Kustomization; false when one of the directories would be left empty. */
function handOver(repository: Repository, from: string, to: string, item: Item, value: number): boolean {
  const left = directoryNames.filter((one) => ownerOf(one) === ownerOf(from));
  const without = ({ items }: Directory): Item[] => items.filter(({ name }) => name !== item.name);
  const isEmptied = left.some((one) => without(repository[one] as Directory).length === 0);
  const target = repository[to] as Directory;
  if (isEmptied || (ownerOf(to) === 'solo' && item.kind === 'Deployment')) return false;
  for (const one of left)
    repository[one] = { ...(repository[one] as Directory), items: without(repository[one] as Directory) };
  repository[to] = { ...target, items: [...target.items, { ...item, value }] };
  return true;
}

/** Names that no other Kustomization has in one of its directories: two that claim one object are another matter. */
function freeNames(repository: Repository, owner: KustomizationName): string[] {
  const taken = directoryNames.filter((one) => ownerOf(one) !== owner).flatMap((one) => repository[one]?.items ?? []);
  return names.filter((name) => !taken.some((item) => item.name === name));
}

/** `solo` has nothing that takes its time to become healthy: a slow machine is no reason for a rollback. */
function newItem(random: Random, owner: KustomizationName, name: string, value: number): Item {
  const kinds = [
    'ConfigMap',
    'ConfigMap',
    'ConfigMap',
    'Service',
    owner === 'solo' ? 'Service' : 'Deployment',
  ] as const;
  return { kind: random.pick(kinds), name, value };
}

/** True for a Kustomization that waits for the health of what it applies. */
export function isWaiting(name: KustomizationName): boolean {
  return name === 'base' || name === 'solo';
}

function faultsOf(name: KustomizationName): Fault[] {
  return ['broken', 'refused', 'mistyped', ...(isWaiting(name) ? (['failing', 'failing', 'pending'] as const) : [])];
}

/** The world after an action. */
export function worldAfter(world: World, action: Action): World {
  const of = (name: KustomizationName, state: Partial<KustomizationState>): World => ({
    ...world,
    kustomizations: { ...world.kustomizations, [name]: { ...world.kustomizations[name], ...state } },
  });
  switch (action.do) {
    case 'commit':
      return committed(world, action);
    case 'suspend':
    case 'resume':
      return of(action.name, { isSuspended: action.do === 'suspend' });
    case 'spec':
      return of(action.name, { variant: action.variant, target: action.target });
    case 'values':
      return { ...world, value: action.value };
    case 'kill':
      return { ...committed(world, action.during?.commit), isWorkerUp: false };
    case 'start':
      return { ...world, isWorkerUp: true };
    case 'outage':
      return committed(world, action.commit);
    default:
      return world;
  }
}

function committed(world: World, commit: Commit | undefined): World {
  if (!commit) return world;
  const values = Object.values(commit.repository).flatMap(({ items }) => items.map(({ value }) => value));
  return { ...world, repository: commit.repository, lastValue: Math.max(world.lastValue, ...values) };
}

/** What a person does so that all can go well again: at most one action of each sort. */
export function healingActions(world: World): Action[] {
  const actions: Action[] = [];
  if (!world.isWorkerUp) actions.push({ do: 'start' });
  if (world.value === undefined) actions.push({ do: 'values', value: 'last' });
  for (const name of kustomizationNames) {
    if (world.kustomizations[name].isSuspended) actions.push({ do: 'resume', name });
  }
  if (Object.values(world.repository).some(({ fault }) => fault)) {
    const repository = Object.fromEntries(
      Object.entries(world.repository).map(([directory, { items }]) => [directory, { items }]),
    );
    actions.push({ do: 'commit', repository, isAnnounced: false, says: 'all is in order' });
  }
  return actions;
}

/** A last commit that some of the Kustomizations cannot apply, or are rolled back from; it changes something for all. */
export function spoilingCommit(random: Random, world: World): Commit {
  const repository: Repository = structuredClone(world.repository);
  let { lastValue } = world;
  const said: string[] = [];
  for (const name of kustomizationNames) {
    const directory = directoryOf(world, name);
    const { items } = repository[directory] as Directory;
    const [first, ...others] = items as [Item, ...Item[]];
    const wrong = random.chance(0.6) ? random.pick(faultsOf(name).filter((fault) => fault !== 'pending')) : undefined;
    const changed = [{ ...first, value: ++lastValue }, ...(random.chance(0.5) ? others.slice(1) : others)];
    repository[directory] = { items: changed, ...(wrong ? { fault: wrong } : {}) };
    said.push(`${name} is ${wrong ?? 'in order'}`);
  }
  return { repository, isAnnounced: random.chance(0.5), says: said.join(', ') };
}

/** The directory that a Kustomization builds. */
export function directoryOf(world: World, name: KustomizationName): string {
  return `${name}/${world.kustomizations[name].variant}`;
}

/** An object as it is to be in the cluster. */
export interface ExpectedObject extends Item {
  target: Target;
  /** What `${common}` has become. */
  common: string;
}

/** What a Kustomization is to say and to have in the cluster. */
export interface Expected {
  reason: string;
  /** It was rolled back, and holds on to what it had. */
  isHeld: boolean;
  objects: ExpectedObject[];
}

/**
 * How a Kustomization is to look once everything has settled: as the last commit has it or, when that cannot be applied,
 * as the one before, in which nothing was wrong.
 */
export function expectedOf(name: KustomizationName, world: World, before: World = world): Expected {
  const { fault } = world.repository[directoryOf(world, name)] as Directory;
  const old = objectsOf(before, name);
  const kept = (reason: string, isHeld = false): Expected => ({ reason, isHeld, objects: old });
  if (name === 'app' && world.repository[directoryOf(world, 'base')]?.fault) return kept('DependencyNotReady');
  switch (fault) {
    case undefined:
      return { reason: 'ReconciliationSucceeded', isHeld: false, objects: objectsOf(world, name) };
    case 'broken':
      return kept('BuildFailed');
    case 'refused':
    case 'mistyped':
      return kept('ReconciliationFailed', name === 'solo');
    default:
      // It can be applied: only where a rollback is wanted it does not stay.
      if (name === 'solo') return kept('HealthCheckFailed', true);
      return { reason: 'HealthCheckFailed', isHeld: false, objects: objectsOf(world, name) };
  }
}

function objectsOf(world: World, name: KustomizationName): ExpectedObject[] {
  const { items, fault } = world.repository[directoryOf(world, name)] as Directory;
  const { target } = world.kustomizations[name];
  const common = name === 'app' ? (world.value ?? '') : commonVariable;
  const sick: Item[] = fault === 'failing' || fault === 'pending' ? [sickItem(name)] : [];
  return [...items, ...sick].map((item) => ({ ...item, target, common }));
}

/** What every ConfigMap of the repository has; only `app` has it substituted. */
export const commonVariable = '${common}';

/** The object that makes a directory unhealthy. */
export function sickItem(name: KustomizationName): Item {
  return { kind: 'ConfigMap', name: `sick-${name}`, value: 0 };
}
