// Brings the dependencies of a chart from a directory into it (contract 1.4): what Chart.lock says, else Chart.yaml. The
// conditions and tags of dependencies are for the installation; whatever is declared is packaged.
import { posix } from 'node:path';
import { failure, messageOf } from '../../errors.ts';
import { compileConstraint, versionOfTag } from '../git/semver-constraint.ts';
import { type Chart, readChart, sizeOfChart } from './chart.ts';
import { type ChartFiles, checkUnpacked, readChartArchive } from './chart-files.ts';
import type { ChartDependency, HelmYaml } from './chart-metadata.ts';
import type { HelmLimits } from './helm-limits.ts';
import type { ChartRemote } from './chart-remote.ts';

export interface DependencySources {
  yaml: HelmYaml;
  limits: HelmLimits;
  /** Path of the chart below the root of its source. */
  chartPath: string;
  /** The files of the chart at a path below the root; undefined when nothing is there. */
  local(path: string): Promise<ChartFiles | undefined>;
  /** The repository at a normal or not so normal address. */
  remote(repositoryUrl: string): Promise<ChartRemote>;
}

/** Dependencies that are fetched at a time. */
const concurrency = 4;
const maxDependencies = 100;

/** Adds what is missing in `charts/`; gives how many that were. Fails with DependencyBuildError. */
export async function buildDependencies(
  chart: Chart,
  sources: DependencySources,
  signal: AbortSignal,
): Promise<number> {
  const missing = missingDependencies(chart);
  if (missing.length > maxDependencies) {
    throw problem(`the chart asks for ${missing.length} charts, more than the ${maxDependencies} allowed`);
  }
  const added: Chart[] = [];
  let sizeBytes = 0;
  const queue = [...missing.entries()];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const [position, dependency] = next;
      const found = await add(dependency, sources, signal);
      sizeBytes += sizeOfChart(found);
      checkTogether(sizeBytes);
      added[position] = found;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  chart.dependencies.push(...added);
  return missing.length;
}

function checkTogether(sizeBytes: number): void {
  try {
    checkUnpacked(sizeBytes);
  } catch (error) {
    throw problem(`with its dependencies ${messageOf(error)}`);
  }
}

/** What Chart.lock or Chart.yaml asks for and `charts/` does not have. Fails with DependencyBuildError. */
export function missingDependencies({ metadata, locked, dependencies }: Chart): ChartDependency[] {
  if (locked) checkLock(metadata.dependencies, locked);
  const asked = new Map<string, ChartDependency>();
  for (const dependency of locked ?? metadata.dependencies) {
    const isThere = dependencies.some(
      (one) => one.metadata.name === dependency.name && isAllowed(dependency, one.metadata.version),
    );
    if (!isThere) asked.set(`${dependency.name}@${dependency.version}`, dependency);
  }
  return [...asked.values()];
}

/** A dependency whose locked version its range does not allow was changed after the lock was made. */
function checkLock(declared: readonly ChartDependency[], locked: readonly ChartDependency[]): void {
  for (const dependency of declared) {
    const candidates = locked.filter(({ name }) => name === dependency.name);
    if (candidates.some(({ version }) => isAllowed(dependency, version))) continue;
    const is = candidates[0] ? `has version '${candidates[0].version}' of it` : 'does not have it';
    const next = 'run "helm dependency update" and commit Chart.lock';
    throw problem(
      `Chart.lock is out of sync with Chart.yaml, which asks for '${dependency.name}' ${dependency.version}: the lock ${is}; ${next}`,
    );
  }
}

function isAllowed({ name, version: range }: ChartDependency, version: string): boolean {
  const parsed = versionOfTag(version);
  if (range === version) return true;
  try {
    return parsed !== undefined && compileConstraint(range === '' ? '*' : range)(parsed);
  } catch (error) {
    throw problem(`dependency '${name}': ${messageOf(error)}`);
  }
}

async function add(dependency: ChartDependency, sources: DependencySources, signal: AbortSignal): Promise<Chart> {
  const { name, version, repository } = dependency;
  const isLocal = repository === '' || repository.startsWith('file://');
  try {
    return isLocal ? await localChart(dependency, sources) : await remoteChart(dependency, sources, signal);
  } catch (error) {
    signal.throwIfAborted();
    // Refused credentials are told by their own reason.
    if (error instanceof Error && 'type' in error && error.type === 'AuthenticationFailed') throw error;
    const told = messageOf(error).replace(/^(invalid chart reference|chart pull error): /, '');
    throw problem(`failed to add ${isLocal ? 'local' : 'remote'} dependency '${name}' ${version}: ${told}`, error);
  }
}

async function localChart(
  dependency: ChartDependency,
  { yaml, limits, chartPath, local }: DependencySources,
): Promise<Chart> {
  const { name, repository } = dependency;
  const reference = repository === '' ? `charts/${name}` : repository.slice('file://'.length);
  // Whatever climbs out of the source's root stays at the root.
  const path = posix.resolve('/', chartPath, reference).slice(1);
  const files = await local(path);
  if (!files) throw new Error(`no chart found at '${path || '.'}' (reference '${reference}')`);
  const chart = await readChart(files, yaml, limits);
  if (isAllowed(dependency, chart.metadata.version)) return chart;
  throw new Error(`the chart at '${path}' has version '${chart.metadata.version}', which the range does not allow`);
}

async function remoteChart(
  { name, version, repository }: ChartDependency,
  { yaml, limits, remote }: DependencySources,
  signal: AbortSignal,
): Promise<Chart> {
  if (repository.startsWith('@') || repository.startsWith('alias:')) {
    throw new Error(
      `its repository '${repository}' is an alias, which only exists on one's own machine: name the address`,
    );
  }
  const found = await (await remote(repository)).find(name, version === '' ? '*' : version, signal);
  const archive = await (await remote(repository)).pull(found, signal);
  return await readChart(await readChartArchive(archive, limits), yaml, limits);
}

function problem(message: string, cause?: unknown): ReturnType<typeof failure> {
  return failure('DependencyBuildError', `dependency build error: ${message}`, { cause });
}
