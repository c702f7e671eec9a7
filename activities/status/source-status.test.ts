import { describe, expect, it } from 'vitest';
import type { SourceObject } from '../source/source-driver.ts';
import { isRemade, sourceStatusAfterFailure, sourceStatusAfterSuccess } from './source-status.ts';

const context = { generation: 2, now: '2026-01-01T00:00:00Z' };
const artifact = { digest: 'sha256:1', path: 'p', url: 'u', revision: '1.0.0', lastUpdateTime: context.now };
const chart = (status: SourceObject['status'] = {}): SourceObject => ({
  apiVersion: 'source.toolkit.fluxcd.io/v1',
  kind: 'HelmChart',
  metadata: { name: 'web', namespace: 'apps', generation: 2 },
  spec: {},
  status,
});
const conditions = (status: SourceObject['status']): Record<string, string> =>
  Object.fromEntries((status?.conditions ?? []).map(({ type, status: is, reason }) => [type, `${is} ${reason}`]));

describe('the status of a chart', () => {
  const archived = {
    artifact,
    conditionReason: 'ChartPullSucceeded',
    conditionMessage: "pulled 'web' chart with version '1.0.0'",
    observed: { observedChartName: 'web' },
  };

  it('has the reason and message of what was made, and keeps them when nothing is', () => {
    const made = sourceStatusAfterSuccess(chart(), context, archived);
    expect(conditions(made)).toEqual({
      Ready: 'True ChartPullSucceeded',
      ArtifactInStorage: 'True ChartPullSucceeded',
    });
    expect(made).toMatchObject({ artifact, observedChartName: 'web', observedGeneration: 2 });
    expect(conditions(sourceStatusAfterSuccess(chart(made), context, undefined))).toEqual(conditions(made));
  });

  it.each([
    ['ChartPullError', false, { Ready: 'False ChartPullError', FetchFailed: 'True ChartPullError' }],
    ['ValuesFilesError', true, { Ready: 'False ValuesFilesError', BuildFailed: 'True ValuesFilesError' }],
    [
      'ChartVerificationError',
      false,
      {
        Ready: 'False ChartVerificationError',
        BuildFailed: 'True ChartVerificationError',
        SourceVerified: 'False VerificationError',
      },
    ],
  ])('after %s', (reason, isStalled, expected) => {
    const failed = sourceStatusAfterFailure(chart(), context, { reason, message: 'm', isStalled });
    expect(conditions(failed)).toMatchObject(expected);
    expect(conditions(failed)['Stalled']).toBe(isStalled ? `True ${reason}` : undefined);
    const after = sourceStatusAfterSuccess(chart(failed), context, archived);
    expect(Object.keys(conditions(after)).sort()).toEqual(['ArtifactInStorage', 'Ready']);
  });
});

it('an artifact was made again only where nothing but its time is another', () => {
  const status = { artifact, observedGeneration: 2 };
  const again = { ...artifact, lastUpdateTime: '2026-01-01T00:10:00Z' };
  expect(isRemade(chart(status), { artifact: again })).toBe(true);
  expect(isRemade(chart(status), { artifact })).toBe(false);
  expect(isRemade(chart({ ...status, observedGeneration: 1 }), { artifact: again })).toBe(false);
  expect(isRemade(chart(), { artifact: again })).toBe(false);
  for (const changed of [{ digest: 'sha256:2' }, { revision: '1.0.1' }, { url: 'v' }]) {
    expect(isRemade(chart(status), { artifact: { ...again, ...changed } })).toBe(false);
  }
});
