import { expect, test } from 'vitest';
import { hookRunView, type HookView, renderedView, rollbackView } from './hook-view.ts';
import { decodeRelease, packRelease, type StoredRelease, unpackRelease } from './release-storage-codec.ts';

/** With what a parser of JavaScript would change: a large number, a float, and escapes. */
const around =
  '"name":"app","version":3,"info":{"status":"deployed"},"config":{"n":12345678901234567890,"f":1.0,"e":"\\u003c"}';

function packed(hooks: { manifest?: string; events: string[] }[], more = around): Buffer {
  return packRelease(`{${more},"hooks":${JSON.stringify(hooks)},"namespace":"apps"}`);
}

function eventsOf(release: Buffer): (string[] | undefined)[] {
  return (decodeRelease(release).hooks ?? []).map(({ events }) => events);
}

const stored = [
  { events: ['pre-install'] },
  { events: ['post-upgrade', 'post-rollback'] },
  { events: ['test'] },
  { events: ['test', 'post-upgrade'] },
];

test('a rollback sees no hooks that follow it, and writes them as they are', () => {
  const release = packed(stored);
  const seen = rollbackView().read?.(release) ?? release;
  expect(eventsOf(seen)).toEqual([
    ['pre-install'],
    ['post-upgrade', 'continuo.dev/post-rollback'],
    ['test'],
    ['test', 'post-upgrade'],
  ]);
  expect(unpackRelease(rollbackView().written(seen))).toBe(unpackRelease(release));
});

test('a run of hooks sees them as tests, and the tests not at all', () => {
  const view = hookRunView('post-upgrade');
  const release = packed(stored);
  const seen = view.read?.(release) ?? release;
  expect(eventsOf(seen)).toEqual([
    ['pre-install'],
    ['test', 'post-rollback'],
    ['continuo.dev/test'],
    ['continuo.dev/test', 'test'],
  ]);
  expect(unpackRelease(view.written(seen))).toBe(unpackRelease(release));
});

test('what helm has noted of a hook is kept', () => {
  const view = hookRunView('post-install');
  const run = { started_at: '2026-11-30T08:00:00Z', phase: 'Running' };
  const release = decodeRelease(view.read?.(packed([{ events: ['post-install'] }])) ?? Buffer.alloc(0));
  const noted = release.hooks?.map((hook) => ({ ...hook, last_run: run, delete_policies: ['before-hook-creation'] }));
  const written = decodeRelease(view.written(packRelease(JSON.stringify({ ...release, hooks: noted }))));
  expect(written.hooks).toEqual([
    { events: ['post-install'], last_run: run, delete_policies: ['before-hook-creation'] },
  ]);
});

test.each(['null', '[]'])('a release with the hooks %s stays as it is', (hooks) => {
  const release = packRelease(`{${around},"hooks":${hooks}}`);
  expect(rollbackView().read?.(release)).toBe(release);
});

test('a damaged release is refused', () => {
  expect(() => rollbackView().written(Buffer.from('H4sIAAAA'))).toThrow('cannot be unpacked');
});

/** The events that helm reads in a manifest of the form that it is given. */
function helmEvents(manifest: string): string[] {
  const [, text = ''] = /helm\.sh\/hook["']?: *["']?([^"'}\n#]*)/.exec(manifest) ?? [];
  return text.split(',').map((event) => event.trim().toLowerCase());
}

/** What helm writes of a hook that it has rendered. */
function afterRendering(view: HookView, manifest: string): StoredRelease {
  const rendered = view.rendered?.(manifest) ?? manifest;
  return decodeRelease(view.written(packed([{ manifest: rendered, events: helmEvents(rendered) }])));
}

const forms: [string, string, string[]][] = [
  ['plain', 'metadata:\n  name: a\n  annotations:\n    helm.sh/hook: post-install\n', ['post-install']],
  ['quoted', 'metadata:\n  annotations:\n    "helm.sh/hook": "post-install"\n', ['post-install']],
  [
    'with others, a comment and a name like it',
    'metadata:\n  name: post-install\n  annotations:\n    helm.sh/hook: pre-install, post-install,post-rollback # not post-install\n',
    ['pre-install', 'post-install', 'post-rollback'],
  ],
  ['in one line', 'metadata: { annotations: { helm.sh/hook: post-install } }\n', ['post-install']],
  ['as JSON', '{"metadata":{"annotations":{"helm.sh/hook":"post-install","a":"post-install"}}}\n', ['post-install']],
];
test.each(forms)('an event written %s is not seen by the install, and is stored as it was', (_, manifest, events) => {
  const view = renderedView('post-install');
  const rendered = view.rendered?.(manifest) ?? '';
  expect(helmEvents(rendered)).not.toContain('post-install');
  expect(rendered.toLowerCase().split('post-install').length).toBe(manifest.split('post-install').length - 1);
  expect(afterRendering(view, manifest).hooks).toEqual([{ manifest, events }]);
  expect(Buffer.from(view.sent?.(Buffer.from(rendered)) ?? []).toString()).toBe(manifest);
});

test('an event that is written elsewhere, for an alias, is not seen either', () => {
  const manifest = 'x: &when post-install\nmetadata:\n  annotations:\n    helm.sh/hook: *when\n';
  const rendered = renderedView('post-install').rendered?.(manifest);
  expect(rendered).not.toContain('post-install');
  const merged = 'x: &all {helm.sh/hook: post-install}\nmetadata:\n  annotations:\n    <<: *all\n';
  expect(renderedView('post-install').rendered?.(merged)).not.toContain('post-install');
});

test('what is no hook of the event stays, and nothing is unpacked for it', () => {
  const view = renderedView('post-upgrade');
  const manifest = 'metadata:\n  annotations:\n    helm.sh/hook: post-install\n    note: post-upgrade\n';
  expect(view.rendered?.(manifest)).toBe(manifest);
  const damaged = Buffer.from('no release');
  expect(view.written(damaged)).toBe(damaged);
});
