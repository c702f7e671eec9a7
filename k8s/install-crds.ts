// Installs the CustomResourceDefinitions of our kinds: at every start of a worker, beside other workers that do the same.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { KubeApiError, type KubeClient, type ResourceInfo } from './client.ts';
import { type CrdDecision, decideOnCrd, isEstablished } from './crd-decision.ts';
import { type KubeObject, refOf } from './object.ts';

/** The part of a logger that the installation needs. */
export interface InstallLog {
  info(fields: Record<string, unknown>, message: string): void;
}

export interface InstallCrdsOptions {
  /** How long the API server may take to serve the kinds. Default 30 s. */
  establishTimeoutMs?: number;
  signal?: AbortSignal;
}

/** Names of the CRDs by what was done with them. */
export interface InstallResult {
  created: string[];
  updated: string[];
  kept: string[];
}

/** The field manager of everything that the installation writes. */
export const installFieldManager = 'continuo';

const crdResource: ResourceInfo = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  resource: 'customresourcedefinitions',
  namespaced: false,
};
const maxAttempts = 5;
const pollIntervalMs = 100;

/** The generated CRDs, as they lie in `k8s/crds`. */
export async function readCrds(): Promise<KubeObject[]> {
  const directory = join(import.meta.dirname, 'crds');
  const names = (await readdir(directory)).filter((name) => name.endsWith('.yaml')).sort();
  return Promise.all(names.map(async (name) => parse(await readFile(join(directory, name), 'utf8')) as KubeObject));
}

/**
 * Creates the CRDs that are missing, updates older ones of ours, leaves those of others (an existing Flux) alone, and
 * waits until the API server serves all kinds. When everything is there it costs one LIST.
 * Throws one `Error` that names every CRD of others that does not serve the version we need (nothing is written then),
 * and every CRD that is not served in time; {@link KubeApiError} for what the API server refuses.
 */
export async function installCrds(
  client: KubeClient,
  log: InstallLog,
  options: InstallCrdsOptions = {},
): Promise<InstallResult> {
  const { signal } = options;
  const wanted = await readCrds();
  const existing = new Map<string, KubeObject>();
  for (const crd of (await client.list(crdResource, { signal })).items) existing.set(crd.metadata.name, crd);

  const refusals = wanted.flatMap((crd) => refusalOf(decideOnCrd(crd, existing.get(crd.metadata.name))));
  if (refusals.length > 0) throw new Error(refusals.join('; '));

  const result: InstallResult = { created: [], updated: [], kept: [] };
  const pending = new Set<string>();
  await Promise.all(
    wanted.map(async (crd) => {
      const { name } = crd.metadata;
      const installed = await installOne(client, crd, existing.get(name), signal);
      result[installed.done].push(name);
      if (installed.done !== 'kept') log.info({ crd: name }, `CustomResourceDefinition/${name} ${installed.done}`);
      if (!isEstablished(installed.crd)) pending.add(name);
    }),
  );
  await waitUntilEstablished(client, pending, options);
  for (const names of Object.values(result)) names.sort();
  return result;
}

/** One CRD. A conflict means that somebody wrote it since we looked: look again and decide anew. */
async function installOne(
  client: KubeClient,
  wanted: KubeObject,
  found: KubeObject | undefined,
  signal: AbortSignal | undefined,
): Promise<{ done: keyof InstallResult; crd: KubeObject }> {
  let existing = found;
  for (let attempt = 1; ; attempt++) {
    const decision = decideOnCrd(wanted, existing);
    if (decision.action === 'refuse') throw new Error(decision.message);
    if (decision.action === 'keep' && existing) return { done: 'kept', crd: existing };
    try {
      // A new CRD is applied without force, so that one of others that appears meanwhile is a conflict and stays theirs.
      const force = decision.action === 'update';
      const crd = await client.apply(wanted, { fieldManager: installFieldManager, force, signal });
      return { done: force ? 'updated' : 'created', crd };
    } catch (error) {
      if (!(error instanceof KubeApiError) || error.status !== 409 || attempt === maxAttempts) throw error;
      existing = await client.get(refOf(wanted), { signal });
    }
  }
}

/** Reads the CRDs that are not served yet until they are; those of one round at the same time. */
async function waitUntilEstablished(
  client: KubeClient,
  pending: Set<string>,
  { establishTimeoutMs = 30_000, signal }: InstallCrdsOptions,
): Promise<void> {
  const { group, version, kind } = crdResource;
  const deadline = performance.now() + establishTimeoutMs;
  while (pending.size > 0) {
    const crds = await Promise.all(
      [...pending].map((name) => client.get({ group, version, kind, namespace: '', name }, { signal })),
    );
    for (const crd of crds) if (crd && isEstablished(crd)) pending.delete(crd.metadata.name);
    if (pending.size === 0) return;
    if (performance.now() > deadline) {
      const names = [...pending].sort().join(', ');
      throw new Error(
        `CustomResourceDefinitions ${names} are not established after ${establishTimeoutMs} ms: ` +
          'see their conditions with "kubectl describe crd"',
      );
    }
    await sleep(pollIntervalMs, undefined, { signal });
  }
}

function refusalOf(decision: CrdDecision): string[] {
  return decision.action === 'refuse' ? [decision.message] : [];
}
