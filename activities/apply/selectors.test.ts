import { expect, test } from 'vitest';
import { isApplyDisabled, isCreateOnly, isForceEnabled, isMerge, isPruneDisabled } from './selectors.ts';

const rules = { isApplyDisabled, isCreateOnly, isForceEnabled, isMerge, isPruneDisabled };

test.each<[string, string, Array<keyof typeof rules>]>([
  ['reconcile', 'disabled', ['isApplyDisabled', 'isPruneDisabled']],
  ['reconcile', 'Disabled', ['isApplyDisabled', 'isPruneDisabled']],
  ['reconcile', 'enabled', []],
  ['ssa', 'Ignore', ['isApplyDisabled', 'isPruneDisabled']],
  ['ssa', 'ignore', ['isApplyDisabled', 'isPruneDisabled']],
  ['ssa', 'IfNotPresent', ['isCreateOnly']],
  ['ssa', 'IfNotExists', []],
  ['ssa', 'merge', ['isMerge']],
  ['force', 'enabled', ['isForceEnabled']],
  ['prune', 'disabled', ['isPruneDisabled']],
])('the switch %s: %s, as annotation or label, means %j', (name, value, expected) => {
  const values = { [`kustomize.toolkit.fluxcd.io/${name}`]: value };
  for (const metadata of [
    { name: 'x', annotations: values },
    { name: 'x', labels: values },
  ]) {
    const found = Object.entries(rules).filter(([, rule]) => rule({ metadata }));
    expect(found.map(([key]) => key).sort()).toEqual([...expected].sort());
  }
});

test('a switch on the live object alone counts', () => {
  const live = { metadata: { name: 'x', annotations: { 'kustomize.toolkit.fluxcd.io/ssa': 'Ignore' } } };
  expect(isApplyDisabled({ metadata: { name: 'x' } }, live)).toBe(true);
  expect(isApplyDisabled({ metadata: { name: 'x' } }, undefined)).toBe(false);
});
