import type { CancelSignal } from '@conclave/kernel';

/** Items that wait for the reader, of all sources together; then the sources wait. */
const ITEMS_WAITING_MAX = 64;

/**
 * Items of all sources as they come, first come first served.
 * @param open makes the sources; they have to end with the signal that it is given
 * @param signal ends it all
 */
export async function* mergeSources<T extends object>(
  open: (signal: AbortSignal) => readonly AsyncIterable<T>[],
  signal: CancelSignal | undefined,
): AsyncGenerator<T, void> {
  const merge = new Merge<T>();
  const onAbort = (): void => merge.stop();
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  try {
    for (const source of open(merge.stopped)) merge.add(source);
    for (let item = await merge.next(); item !== undefined; item = await merge.next()) yield item;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    merge.stop();
  }
}

/** A bounded queue between many writers that wait and one reader. */
class Merge<T extends object> {
  readonly #stop = new AbortController();
  readonly #items: T[] = [];
  readonly #writers: (() => void)[] = [];
  #sourceCount = 0;
  #failure: Error | undefined;
  #wake: () => void = () => undefined;

  get stopped(): AbortSignal {
    return this.#stop.signal;
  }

  add(source: AsyncIterable<T>): void {
    this.#sourceCount += 1;
    void this.#pump(source)
      .catch((error: Error) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#sourceCount -= 1;
        this.#wake();
      });
  }

  /** The next item; undefined when there will be none. */
  async next(): Promise<T | undefined> {
    for (;;) {
      if (this.stopped.aborted) return undefined;
      const item = this.#items.shift();
      if (item !== undefined) {
        this.#writers.shift()?.();
        return item;
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#sourceCount === 0) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  stop(): void {
    this.#stop.abort();
    this.#wake();
    for (const go of this.#writers.splice(0)) go();
  }

  async #pump(source: AsyncIterable<T>): Promise<void> {
    for await (const item of source) {
      if (this.#items.length >= ITEMS_WAITING_MAX && !this.stopped.aborted) {
        await new Promise<void>((resolve) => this.#writers.push(resolve));
      }
      if (this.stopped.aborted) return;
      this.#items.push(item);
      this.#wake();
    }
  }
}
