// Progress of what mostly takes no time: a status is written only for what lasts long enough to be looked at.

/** What is over sooner leaves no trace in the status. */
const untoldMs = 1_000;

/** Runs `work`, and `tell` beside it as soon as it has lasted for a second. Ends when both have. */
export async function toldIfLong<T>(tell: () => Promise<void>, work: () => Promise<T>): Promise<T> {
  let told: Promise<void> | undefined;
  const timer = setTimeout(() => {
    // The work is what matters; a status that cannot be written now is written at its end.
    told = tell().catch(() => {});
  }, untoldMs);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
    await told; // or it would overwrite what the report says
  }
}
