// Which hooks a helm process runs. Helm runs those whose events hold the one of its action, so one that sees other events
// runs others. What it writes gets the true events back on the way: the stored release is the true one at every moment
// (docs/decisions/0019).
import type { ReleaseAction } from '../../workflows/decisions/release-state.ts';
import { placeOfField } from './json-field.ts';
import { changeHookAnnotation, hookAnnotationOf } from './post-render-manifest.ts';
import { packRelease, type ReleaseHook, type StoredRelease, unpackRelease } from './release-storage-codec.ts';

/** What the hooks are run for that follow an action and its rollout. */
export type PostEvent = 'post-install' | 'post-upgrade' | 'post-rollback';

/** What one process sees of the hooks of a release. Releases are packed as Secrets hold them. */
export interface HookView {
  /** The manifest of a hook that was rendered, as helm is to read it. @default as it is */
  rendered?(manifest: string): string;
  /** A stored release, as helm is to read it. @default as it is */
  read?(packed: Buffer): Buffer;
  /** The true release of one that helm writes. */
  written(packed: Buffer): Buffer;
  /** The true object of one that helm sends. @default as it is */
  sent?(body: Uint8Array): Uint8Array;
}

const postEvents: Readonly<Partial<Record<ReleaseAction, PostEvent>>> = {
  install: 'post-install',
  upgrade: 'post-upgrade',
  rollback: 'post-rollback',
};

/** The event of the hooks that follow an action; undefined for one that is followed by none. */
export function postEventOf(action: ReleaseAction): PostEvent | undefined {
  return postEvents[action];
}

/** The hooks of a release that an event runs. */
export function hooksOf({ hooks }: Pick<StoredRelease, 'hooks'>, event: string): ReleaseHook[] {
  return (hooks ?? []).filter(({ events }) => events?.includes(event));
}

/** What helm only reads need not be small, and helm reads all revisions: packed well, large ones would hold the worker up. */
const readLevel = 1;

/** No event of helm's: it runs nothing for it, and keeps it. */
function hidden(event: string): string {
  return `continuo.dev/${event}`;
}

/** For a rollback, whose hooks are stored: it runs all but those that follow it. */
export function rollbackView(): HookView {
  const event: PostEvent = 'post-rollback';
  return {
    read: (packed) => changeEvents(packed, (one) => (one === event ? hidden(event) : one), readLevel),
    written: (packed) => changeEvents(packed, (one) => (one === hidden(event) ? event : one)),
  };
}

/** For a `helm test` which runs the hooks of an event, and no test. */
export function hookRunView(event: PostEvent): HookView {
  const seen = new Map<string, string>([
    [event, 'test'],
    ['test', hidden('test')],
  ]);
  const meant = new Map([...seen].map(([from, to]) => [to, from]));
  return {
    read: (packed) => changeEvents(packed, (one) => seen.get(one) ?? one, readLevel),
    written: (packed) => changeEvents(packed, (one) => meant.get(one) ?? one),
  };
}

/**
 * The event of rollbacks in letters that nobody writes it in, which helm reads as it. It stands in rendered manifests for
 * an event that an install or upgrade is not to see: hooks with an event that helm does not know would be left out.
 */
const disguise = 'pOsT-rOlLbAcK';

/** For an install or upgrade, whose hooks are rendered: it runs all but those that follow it. */
export function renderedView(event: Exclude<PostEvent, 'post-rollback'>): HookView {
  const reveal = (text: string): string => text.replaceAll(disguise, event);
  /** Without hooks that follow, which is the rule, nothing has to be put back. */
  let isUsed = false;
  return {
    rendered(manifest) {
      const changed = disguised(manifest, event);
      isUsed ||= changed !== manifest;
      return changed;
    },
    written: (packed) =>
      isUsed ? changeHooks(packed, (hooks) => hooks.map((hook) => revealed(hook, event, reveal))) : packed,
    sent(body) {
      const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
      return isUsed && bytes.includes(disguise) ? Buffer.from(reveal(bytes.toString('utf8'))) : body;
    },
  };
}

function disguised(manifest: string, event: PostEvent): string {
  const word = new RegExp(`(?<![\\w-])${event}(?![\\w-])`, 'gi');
  if (!eventsIn(manifest).includes(event)) return manifest;
  const changed = changeHookAnnotation(manifest, (text) => text.replaceAll(word, disguise));
  // Where the annotation is an alias, say, its text is elsewhere; whatever is changed with it comes back as well.
  return eventsIn(changed).includes(event) ? manifest.replaceAll(word, disguise) : changed;
}

function revealed(hook: ReleaseHook, event: PostEvent, reveal: (text: string) => string): ReleaseHook {
  const { manifest = '', events = [] } = hook;
  if (!manifest.includes(disguise)) return hook;
  const written = (hookAnnotationOf(manifest) ?? '').split(',').map((text) => text.trim());
  return {
    ...hook,
    manifest: reveal(manifest),
    events: events.map((one, index) => (written[index] === disguise ? event : one)),
  };
}

/** The events that helm reads in a manifest. */
function eventsIn(manifest: string): string[] {
  return (hookAnnotationOf(manifest) ?? '').split(',').map((text) => text.trim().toLowerCase());
}

function changeEvents(packed: Buffer, change: (event: string) => string, level?: number): Buffer {
  return changeHooks(packed, (hooks) => hooks.map((hook) => ({ ...hook, events: hook.events?.map(change) })), level);
}

/** A packed release with other hooks; all else of it stays as it was written. Throws an `Error` for a damaged one. */
function changeHooks(packed: Buffer, change: (hooks: ReleaseHook[]) => ReleaseHook[], level?: number): Buffer {
  const json = unpackRelease(packed);
  const place = placeOfField(json, 'hooks');
  if (!place) return packed;
  const before = json.slice(place.start, place.end);
  const hooks = JSON.parse(before) as ReleaseHook[] | null;
  const after = JSON.stringify(hooks && change(hooks));
  if (after === JSON.stringify(hooks)) return packed;
  return packRelease(`${json.slice(0, place.start)}${after}${json.slice(place.end)}`, level);
}
