import { ConclaveError, encodeBase32, limits } from '@conclave/kernel';
import { IDEMPOTENCY_KEY_RANDOM_BYTES, READ_DEADLINE_MS, WRITE_DEADLINE_MS } from './limits.js';
import type { CallOptions, ClientContext, WriteOptions } from './context.js';
import type { StreamMethod, UnaryMethod } from './port.js';
import { withRetry } from './retry.js';

const PRINTABLE = /^[\x21-\x7e]+$/;

/** Milliseconds for a read. */
export function readDeadline(context: ClientContext, options: CallOptions): number {
  return options.deadlineMs ?? context.readDeadlineMs ?? READ_DEADLINE_MS;
}

/** Milliseconds for a write. */
export function writeDeadline(context: ClientContext, options: CallOptions): number {
  return options.deadlineMs ?? context.writeDeadlineMs ?? WRITE_DEADLINE_MS;
}

/**
 * The given idempotency key, or a fresh one.
 * @throws CV_ARGUMENT_INVALID unless it has 1 to 64 printable characters without spaces
 */
export function idempotencyKey(context: ClientContext, options: WriteOptions): string {
  const key = options.idempotencyKey;
  if (key === undefined) return encodeBase32(context.random.bytes(IDEMPOTENCY_KEY_RANDOM_BYTES));
  if (!PRINTABLE.test(key) || key.length > limits.IDEMPOTENCY_KEY_BYTES_MAX) {
    throw new ConclaveError(
      'CV_ARGUMENT_INVALID',
      `idempotency key must have 1 to ${limits.IDEMPOTENCY_KEY_BYTES_MAX} printable characters`,
      { details: { field: 'idempotency_key' } },
    );
  }
  return key;
}

/** One read, repeated while the cluster has no leader. */
export function read<Request, Response>(
  context: ClientContext,
  call: { method: UnaryMethod<Request, Response>; request: Request },
  options: CallOptions,
): Promise<Response> {
  const retry = { deadlineMs: readDeadline(context, options), signal: options.signal };
  return withRetry(context, retry, (deadlineMs) =>
    context.port.unary(call.method, call.request, { deadlineMs, signal: options.signal }),
  );
}

/**
 * One write, repeated with the same idempotency key. `request` makes the message from the key; it
 * is called once, so that every attempt sends the same bytes.
 */
export async function write<Request, Response>(
  context: ClientContext,
  call: { method: UnaryMethod<Request, Response>; request: (key: string) => Request },
  options: WriteOptions,
): Promise<Response> {
  const key = idempotencyKey(context, options);
  const request = call.request(key);
  const { signal } = options;
  const retry = { deadlineMs: writeDeadline(context, options), signal, idempotencyKey: key };
  return await withRetry(context, retry, (deadlineMs) =>
    context.port.unary(call.method, request, { deadlineMs, signal, idempotencyKey: key }),
  );
}

interface OpenStream<T> {
  readonly iterator: AsyncIterator<T>;
  readonly first: IteratorResult<T>;
}

/**
 * Opens a stream and waits for its first item. The time limit ends with that item: a list of any
 * length may take as long as it moves.
 */
async function openStream<Request, T>(
  context: ClientContext,
  call: { method: StreamMethod<Request, T>; request: Request },
  run: { control: AbortController; firstItemMs: number | undefined },
): Promise<OpenStream<T>> {
  const { control, firstItemMs } = run;
  let isLate = false;
  const timer =
    firstItemMs === undefined
      ? undefined
      : context.timers.after(firstItemMs, () => {
          isLate = true;
          control.abort();
        });
  try {
    const items = context.port.stream(call.method, call.request, { signal: control.signal });
    const iterator = items[Symbol.asyncIterator]();
    return { iterator, first: await iterator.next() };
  } catch (error) {
    if (isLate) throw new ConclaveError('CV_DEADLINE', 'no answer came in time', { cause: error });
    throw error;
  } finally {
    timer?.cancel();
  }
}

/** Aborts `control` when `signal` fires; the answer takes the link away again. */
function follow(signal: AbortSignal | undefined, control: AbortController): () => void {
  if (signal === undefined) return () => undefined;
  const abort = (): void => control.abort();
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  return () => signal.removeEventListener('abort', abort);
}

/** The objects of a list that comes in pages, one after the other; see {@link readStream}. */
export async function* readPages<Request, Page, T>(
  context: ClientContext,
  call: {
    method: StreamMethod<Request, Page>;
    request: Request;
    itemsOf: (page: Page) => readonly T[];
  },
  options: CallOptions,
): AsyncGenerator<T, void, void> {
  for await (const page of readStream(context, call, options)) {
    // Not `yield*`: it would wrap each item of the list in promises of its own.
    for (const item of call.itemsOf(page)) yield item;
  }
}

/**
 * The answers of a stream. It is opened again while the cluster has no leader, but only until the
 * first item: after that a failure ends the loop with its error. Leaving the loop cancels the call.
 * With `isEndless` the first item may take any time (a watch, a followed log).
 */
export async function* readStream<Request, T>(
  context: ClientContext,
  call: { method: StreamMethod<Request, T>; request: Request; isEndless?: boolean },
  options: CallOptions,
): AsyncGenerator<T, void, void> {
  const retry = { deadlineMs: readDeadline(context, options), signal: options.signal };
  let control = new AbortController();
  let unlink = (): void => undefined;
  try {
    const stream = await withRetry(context, retry, (remainingMs) => {
      unlink();
      control = new AbortController();
      unlink = follow(options.signal, control);
      const firstItemMs = call.isEndless === true ? undefined : remainingMs;
      return openStream(context, call, { control, firstItemMs });
    });
    for (let item = stream.first; item.done !== true; item = await stream.iterator.next()) {
      yield item.value;
    }
  } finally {
    unlink();
    control.abort();
  }
}
