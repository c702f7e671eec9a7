// The parts of a HelmRelease that say how each Helm action is done (contract 1.9).
import * as z from 'zod';
import { duration, withRules } from './shared/fields.ts';

const serverSideApplyModes = ['enabled', 'disabled', 'auto'] as const;

const actionTimeout = duration('Longest time for each step of the action; unset: `spec.timeout`.').optional();
const disableWait = z.boolean().optional().describe('Do not wait until the objects are ready.');
const disableWaitForJobs = z.boolean().optional().describe('Do not wait until jobs have finished.');
const disableHooks = z.boolean().optional().describe('Do not run hooks.');
const cleanupOnFail = z.boolean().optional().describe('Delete what the action created when it fails.');
const force = z.boolean().optional().describe('Replace objects instead of patching them.');
const retries = z
  .int()
  .optional()
  .describe('How many times a failed action is tried again; below 0: without end; unset: 0.');
const ignoreTestFailures = z
  .boolean()
  .optional()
  .describe('Do not remediate when only tests failed; unset: `spec.test.ignoreFailures`.');

const validation = {
  disableOpenAPIValidation: z
    .boolean()
    .optional()
    .describe('Do not check the manifests against the schema of the cluster.'),
  disableSchemaValidation: z.boolean().optional().describe('Do not check the values against the schema of the chart.'),
  disableTakeOwnership: z
    .boolean()
    .optional()
    .describe('Fail on objects that exist and do not belong to the release, instead of taking them over.'),
};

/** What is done after a failure instead of remediation by retries. */
const ActionStrategy = withRules(
  z.object({
    name: z
      .enum(['RemediateOnFailure', 'RetryOnFailure'])
      .describe('Undo a failed action as `remediation` says, or leave it and try again.'),
    retryInterval: duration('How long to wait before the next try; for `RetryOnFailure`, unset: 5m.').optional(),
  }),
  [
    {
      rule: "!has(self.retryInterval) || self.name == 'RetryOnFailure'",
      message: "retryInterval can only be set when name is 'RetryOnFailure'",
    },
  ],
).describe('What follows a failure; unset: `RemediateOnFailure`.');

const crdPolicies = ['Skip', 'Create', 'CreateReplace'] as const;
const crds = z
  .enum(crdPolicies)
  .optional()
  .describe(
    'What happens to the CRDs in the chart: nothing, create new ones, or replace old ones too; unset: `Create`.',
  );

export const HelmInstall = z.object({
  timeout: actionTimeout,
  remediation: z
    .object({
      retries,
      ignoreTestFailures,
      remediateLastFailure: z.boolean().optional().describe('Uninstall after the last try as well; unset: false.'),
    })
    .optional()
    .describe('What follows a failed install: uninstall and try again.'),
  strategy: ActionStrategy.optional(),
  disableWait,
  disableWaitForJobs,
  disableHooks,
  ...validation,
  replace: z.boolean().optional().describe('Use the name of a deleted release that is still in the history.'),
  createNamespace: z.boolean().optional().describe('Create the target namespace when it does not exist.'),
  serverSideApply: z.boolean().optional().describe('Apply on the server; unset: true.'),
  crds,
  skipCRDs: z.boolean().optional().describe('Deprecated and without effect: set `crds` to `Skip`.'),
});
export type HelmInstall = z.infer<typeof HelmInstall>;

export const HelmUpgrade = z.object({
  timeout: actionTimeout,
  remediation: z
    .object({
      retries,
      ignoreTestFailures,
      remediateLastFailure: z
        .boolean()
        .optional()
        .describe('Remediate after the last try as well; unset: true when there are retries.'),
      strategy: z.enum(['rollback', 'uninstall']).optional().describe('How to remediate; unset: `rollback`.'),
    })
    .optional()
    .describe('What follows a failed upgrade: roll back or uninstall, and try again.'),
  strategy: ActionStrategy.optional(),
  disableWait,
  disableWaitForJobs,
  disableHooks,
  ...validation,
  force,
  preserveValues: z.boolean().optional().describe('Merge the values into those of the last release.'),
  cleanupOnFail,
  serverSideApply: z
    .enum(serverSideApplyModes)
    .optional()
    .describe('Apply on the server; `auto`, also when unset: as the last release did.'),
  crds,
  chartNameChangeStrategy: z
    .enum(['InPlaceUpdate', 'Reinstall'])
    .optional()
    .describe('What happens when the chart has another name: upgrade, or uninstall first; unset: `Reinstall`.'),
});
export type HelmUpgrade = z.infer<typeof HelmUpgrade>;

export const HelmRollback = z.object({
  timeout: actionTimeout,
  disableWait,
  disableWaitForJobs,
  disableHooks,
  recreate: z.boolean().optional().describe('Deprecated and without effect.'),
  force,
  cleanupOnFail,
  serverSideApply: z
    .enum(serverSideApplyModes)
    .optional()
    .describe('Apply on the server; `auto`, also when unset: as the release that is rolled back to.'),
});
export type HelmRollback = z.infer<typeof HelmRollback>;

export const HelmUninstall = z.object({
  timeout: actionTimeout,
  disableHooks,
  disableWait: z.boolean().optional().describe('Do not wait until the objects are gone.'),
  keepHistory: z.boolean().optional().describe('Keep the history of the release.'),
  deletionPropagation: z
    .enum(['background', 'foreground', 'orphan'])
    .default('background')
    .describe('What happens to what the objects own.'),
});
export type HelmUninstall = z.infer<typeof HelmUninstall>;

export const HelmTest = z.object({
  enable: z.boolean().optional().describe('Run the tests of the chart after install and upgrade.'),
  timeout: actionTimeout,
  ignoreFailures: z.boolean().optional().describe('Do not remediate when tests fail.'),
  filters: z
    .array(
      z.object({
        name: z.string().min(1).max(253).describe('Name of a test.'),
        exclude: z.boolean().optional().describe('Do not run it; unset: run it.'),
      }),
    )
    .optional()
    .describe('Which tests are run; unset: all.'),
});
export type HelmTest = z.infer<typeof HelmTest>;
