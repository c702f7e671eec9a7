// Places for processes that take a whole core while they work: more of them at once are only slower, and memory.

export interface Places {
  /** Waits for a place; gives the function that gives it up, which may be called again without harm. */
  take(signal: AbortSignal): Promise<() => void>;
}

/** `count` places, given in the order in which they were asked for. */
export function createPlaces(count: number): Places {
  let free = count;
  const waiting = new Set<() => void>();

  function giveUp(): void {
    const [next] = waiting;
    if (!next) free += 1;
    else {
      waiting.delete(next);
      next();
    }
  }

  return {
    async take(signal) {
      signal.throwIfAborted();
      if (free > 0) free -= 1;
      else {
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        const onAbort = (): void => {
          waiting.delete(resolve);
          reject(signal.reason as Error);
        };
        waiting.add(resolve);
        signal.addEventListener('abort', onAbort, { once: true });
        await promise.finally(() => signal.removeEventListener('abort', onAbort));
      }
      let isTaken = true;
      return () => {
        if (isTaken) giveUp();
        isTaken = false;
      };
    },
  };
}
