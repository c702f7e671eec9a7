// The two shell scripts around a helm process: one keeps it from outliving its worker, the other hands what it renders to
// the worker. Both cost a few milliseconds; a second Node would cost half as much as helm itself.

/** Channels of the supervised process. The control pipe is the supervisor's standard input. */
export const channels = { output: 1, errors: 2, rendered: 3, changed: 4 } as const;

/**
 * Runs its arguments as a command. Each line on the control pipe is a signal for it; the end of the pipe, which comes
 * with the end of the worker however it ends, kills the whole process group.
 */
export const superviseScript = `exec 5<&0 </dev/null
"$@" 5<&- &
command=$!
( while read -r signal; do kill "-$signal" "$command"; done; kill -KILL 0 ) <&5 5<&- 3<&- 4<&- >/dev/null 2>&1 &
watcher=$!
exec 3<&- 4<&- 5<&-
wait "$command"
status=$?
kill -KILL "$watcher"
exit "$status"
`;

/** A post-renderer that sends manifests to the worker, and prints what comes back behind its length. */
export const postRenderScript = `cat >&${channels.rendered} && printf '\\0' >&${channels.rendered} || exit 1
read -r length <&${channels.changed} || exit 1
[ "$length" -ge 0 ] 2>/dev/null || exit 1
exec head -c "$length" <&${channels.changed}
`;

/** What makes helm find it. */
export const postRenderPlugin = `apiVersion: v1
type: postrenderer/v1
name: continuo
version: 1.0.0
runtime: subprocess
runtimeConfig:
  platformCommand:
    - command: /bin/sh
      args: ["\${HELM_PLUGIN_DIR}/post-render.sh"]
`;
