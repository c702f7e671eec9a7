// Bounded concurrency for requests.

/**
 * Runs a function for each item, at most `limit` at a time and in order of the list, and gives what each came to. After
 * an abort, and with `stopOnError` after the first error, no further item is started; those have no outcome.
 */
export async function runConcurrently<T, R>(
  items: readonly T[],
  limit: number,
  run: (item: T) => Promise<R>,
  options: { signal?: AbortSignal; stopOnError?: boolean } = {},
): Promise<Array<PromiseSettledResult<R> | undefined>> {
  const outcomes: Array<PromiseSettledResult<R> | undefined> = Array.from(items, () => undefined);
  let next = 0;
  let hasFailed = false;
  async function work(): Promise<void> {
    while (next < items.length && !options.signal?.aborted && !(hasFailed && options.stopOnError)) {
      const index = next++;
      try {
        outcomes[index] = { status: 'fulfilled', value: await run(items[index] as T) };
      } catch (reason) {
        hasFailed = true;
        outcomes[index] = { status: 'rejected', reason };
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, work));
  options.signal?.throwIfAborted();
  return outcomes;
}

/** The errors among outcomes. */
export function errorsOf(outcomes: ReadonlyArray<PromiseSettledResult<unknown> | undefined>): unknown[] {
  return outcomes.flatMap((outcome) => (outcome?.status === 'rejected' ? [outcome.reason] : []));
}
