import { expect, it } from 'vitest';
import { accessRefusal } from './source-of.ts';

const open = { isCrossNamespaceAllowed: true };
const near = { kind: 'ExternalArtifact', namespace: 'apps', name: 'a' };

it.each([
  [near, open, undefined],
  [{ ...near, namespace: 'other' }, open, undefined],
  [
    { ...near, namespace: 'other' },
    { isCrossNamespaceAllowed: false },
    "can't access 'ExternalArtifact/other/a', cross-namespace references have been blocked",
  ],
  [
    near,
    { ...open, isExternalArtifactAllowed: false },
    "can't access 'ExternalArtifact/apps/a', sources of kind ExternalArtifact are turned off",
  ],
  [{ ...near, kind: 'Bucket' }, { ...open, isExternalArtifactAllowed: false }, undefined],
])('%j with %j', (ref, rules, message) => {
  expect(accessRefusal(ref, 'apps', rules)).toEqual(message && { reason: 'AccessDenied', message });
});
