/**
 * The items of `source` until `signal` fires, which rejects with its reason at once, even when the
 * source is waiting for something. The source is told to stop then; what it still throws is lost.
 * One listener for the whole loop: racing every item against the signal would keep a reaction each.
 */
export async function* untilAborted<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  let rejectCurrent: ((reason: unknown) => void) | undefined;
  const onAbort = (): void => rejectCurrent?.(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const next = (): Promise<IteratorResult<T, unknown>> =>
    new Promise((resolve, reject) => {
      rejectCurrent = reject;
      if (signal.aborted) reject(signal.reason as Error);
      else iterator.next().then(resolve, reject);
    });
  try {
    for (let step = await next(); step.done !== true; step = await next()) yield step.value;
  } finally {
    signal.removeEventListener('abort', onAbort);
    iterator.return?.().catch(() => undefined);
  }
}
