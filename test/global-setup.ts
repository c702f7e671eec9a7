// Starts the real servers once for a test run and tells the tests where they are. The end-to-end tests have a worker
// and may kill what they like; all others share a platform without one.
import type { TestProject } from 'vitest/node';
import { type Platform, startPlatform } from '../tools/platform/index.ts';

declare module 'vitest' {
  interface ProvidedContext {
    kubeconfig: string;
    temporalAddress: string;
    /** Base URL of the Git server; `<gitRoot>/a.git` is served as `<gitUrl>/a.git`. */
    gitUrl: string;
    gitRoot: string;
    /** Directory of the platform, with `env`, `pids.json` and the logs. */
    dataDir: string;
    /** Directory with the tools: kubectl, kustomize, sops, temporal, and flux for the end-to-end tests. */
    binDir: string;
    workerUrl: string;
  }
}

/** Projects are set up one after the other in one process; those without a worker share what the first has started. */
const shared = globalThis as { continuoTestPlatform?: { platform: Promise<Platform>; users: number } };

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const isEndToEnd = project.name === 'e2e';
  const report = (line: string): void => console.error(line);
  let platform: Platform;
  let release: () => Promise<void>;
  if (isEndToEnd) {
    platform = await startPlatform({ worker: true, report });
    release = () => platform.stop();
  } else {
    shared.continuoTestPlatform ??= { platform: startPlatform({ report }), users: 0 };
    const { continuoTestPlatform } = shared;
    continuoTestPlatform.users += 1;
    platform = await continuoTestPlatform.platform;
    release = async () => {
      continuoTestPlatform.users -= 1;
      if (continuoTestPlatform.users === 0) await platform.stop();
    };
  }
  project.provide('kubeconfig', platform.kubeconfigPath);
  project.provide('temporalAddress', platform.temporalAddress);
  project.provide('gitUrl', platform.gitUrl);
  project.provide('gitRoot', platform.gitRoot);
  project.provide('dataDir', platform.dataDir);
  project.provide('binDir', `${platform.dataDir}/bin`);
  project.provide('workerUrl', platform.workerUrl);
  return release;
}
