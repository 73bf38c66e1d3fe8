import type { Random } from '@conclave/kernel';
import { ConclaveError } from '@conclave/kernel';
import { createClient } from '../../src/index.js';
import type { AttemptOptions, ConclaveClient, RpcPort } from '../../src/index.js';
import { VirtualTime } from './virtual-time.js';

/** The fields of messages that tests look at by name. */
export interface MessageFields {
  readonly idempotencyKey?: string;
  readonly afterIndex?: number;
  readonly sealedValue?: Uint8Array;
  readonly sealedToken?: Uint8Array;
  readonly sealedText?: Uint8Array;
}

/** One attempt that reached the port. */
export interface Attempt {
  /** `Secrets/Set` */
  readonly method: string;
  readonly request: MessageFields;
  readonly options: AttemptOptions;
  readonly atMs: number;
}

export type Handler = (attempt: Attempt) => unknown;

/** Bytes that count up over all calls, so that two draws differ. */
export function countingRandom(): Random {
  let next = 0;
  return {
    bytes: (count) => Uint8Array.from({ length: count }, () => (next += 1) % 256),
    below: (limit) => limit - 1,
  };
}

/** Rejects when the attempt is given up, as a transport does. */
export function hang(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    const give = (): void => reject(new ConclaveError('CV_CANCELLED', 'cancelled'));
    if (signal?.aborted === true) give();
    signal?.addEventListener('abort', give, { once: true });
  });
}

export interface Stage {
  readonly client: ConclaveClient;
  readonly time: VirtualTime;
  readonly attempts: Attempt[];
  readonly closed: { count: number };
}

/** A client over handlers by method. A stream handler answers an (async) iterable. */
export function stage(handlers: Readonly<Record<string, Handler>>): Stage {
  const time = new VirtualTime();
  const attempts: Attempt[] = [];
  const closed = { count: 0 };
  const take = (path: string, request: MessageFields, options: AttemptOptions): unknown => {
    const method = path.replace('/conclave.v1.', '');
    const attempt = { method, request, options, atMs: time.nowMs };
    attempts.push(attempt);
    const handler = handlers[method];
    if (handler === undefined) throw new Error(`no handler for ${method}`);
    return handler(attempt);
  };
  const port: RpcPort = {
    unary: async (method, request, options) =>
      (await take(method.path, request as MessageFields, options)) as never,
    stream: async function* (method, request, options) {
      yield* (await take(method.path, request as MessageFields, options)) as AsyncIterable<never>;
    },
    close: () => {
      closed.count += 1;
    },
  };
  const environment = { clock: time, timers: time, random: countingRandom() };
  return { client: createClient(port, environment), time, attempts, closed };
}

/** Throws the given error the first `count` times, then answers. */
export function failing(count: number, error: () => Error, answer: unknown): Handler {
  let left = count;
  return () => {
    if (left === 0) return answer;
    left -= 1;
    throw error();
  };
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
