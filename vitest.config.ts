// The test projects: `unit` touches nothing outside the process, all others run against the real servers that
// test/global-setup.ts starts once. Temporal's core is native, hence a process for each file. Two files run at a time,
// also of those that share a platform: each test has a namespace of its own.
import { defineConfig } from 'vitest/config';

const real = {
  pool: 'forks' as const,
  globalSetup: ['test/global-setup.ts'],
  testTimeout: 120_000,
  hookTimeout: 180_000,
  maxWorkers: 2,
};

// On a machine that is busy with something else a time limit may be missed once; a test that is wrong fails twice.
const retry = 1;

/** They kill servers and workers, and wait most of their time. */
const faults = ['test/e2e/{crash,helm-release-crash,outage,random-sequences}.test.ts'];
/** They have workers with other options. */
const options = [
  'test/e2e/{apply-options,cloud-identity,tenancy,s3-artifacts,flux-controllers,helm-release-gates}.test.ts',
];

const own = { ...real, retry, globalSetup: [] };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{workflows,activities,k8s,workers,cli,tools,bench}/**/*.test.ts'],
          pool: 'forks',
          // Loading the modules anew for each of 180 files would take three times as long as the tests.
          isolate: false,
          maxWorkers: real.maxWorkers,
          // Some make keys or try passphrases, which takes seconds on a busy machine.
          testTimeout: 30_000,
        },
      },
      { test: { name: 'golden', include: ['test/golden/**/*.test.ts'], ...real, retry } },
      { test: { name: 'integration', include: ['test/integration/**/*.test.ts'], ...real, retry } },
      { test: { name: 'replay', include: ['test/replay/**/*.test.ts'], ...real } },
      {
        test: { name: 'e2e', include: ['test/e2e/**/*.test.ts'], exclude: [...faults, ...options], ...real, retry },
      },
      // These start platforms and workers of their own.
      { test: { name: 'faults', include: faults, ...own } },
      { test: { name: 'options', include: options, ...own } },
    ],
  },
});
