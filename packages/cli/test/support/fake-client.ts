import type { ConclaveClient } from '@conclave/client';
import type { SecretBytes } from '@conclave/sealed';

/** One call that a command made. */
export interface Recorded {
  readonly method: string;
  readonly arguments: readonly unknown[];
}

/** Answers by method, such as `secrets.get`; a list stands for a stream, an Error is thrown. */
export type Answers = Readonly<Record<string, unknown>>;

/** A client with given answers that records every call. Methods without an answer fail. */
export interface FakeClient {
  readonly client: ConclaveClient;
  readonly calls: Recorded[];
  /** Values that were set, as they were at the time of the call. */
  readonly values: Uint8Array[];
  /** The same values as the command holds them, to see that it wipes them. */
  readonly secrets: SecretBytes[];
  readonly closed: { count: number };
}

const STREAMS: ReadonlySet<string> = new Set([
  'secrets.list',
  'secrets.history',
  'secrets.status',
  'services.list',
  'services.logs',
  'tasks.list',
  'nodes.list',
  'nodes.exposure',
  'tokens.list',
  'admins.list',
  'cluster.watch',
]);

async function* streamOf(answer: unknown): AsyncGenerator<unknown, void, void> {
  if (answer instanceof Error) throw answer;
  for (const item of answer as Iterable<unknown>) {
    await Promise.resolve();
    if (item instanceof Error) throw item;
    yield item;
  }
}

const isSecret = (value: unknown): value is SecretBytes =>
  typeof value === 'object' && value !== null && 'wipe' in value;

export function fakeClient(answers: Answers): FakeClient {
  const calls: Recorded[] = [];
  const values: Uint8Array[] = [];
  const secrets: SecretBytes[] = [];
  const closed = { count: 0 };
  const answerTo = (method: string, input: readonly unknown[]): unknown => {
    const bare = input.map((value) => {
      if (!isSecret(value)) return value;
      secrets.push(value);
      values.push(value.use((view) => view.slice()));
      return '[secret]';
    });
    calls.push({ method, arguments: bare });
    if (!Object.hasOwn(answers, method)) throw new Error(`no answer for ${method}`);
    const answer = answers[method];
    return typeof answer === 'function'
      ? (answer as (...a: unknown[]) => unknown)(...input)
      : answer;
  };
  const call = (method: string, input: readonly unknown[]): unknown => {
    if (STREAMS.has(method)) return streamOf(answerTo(method, input));
    return Promise.resolve().then(() => {
      const answer = answerTo(method, input);
      if (answer instanceof Error) throw answer;
      return answer;
    });
  };
  const part = (name: string): object =>
    new Proxy(
      {},
      {
        get:
          (_, method) =>
          (...input: unknown[]) =>
            call(`${name}.${String(method)}`, input),
      },
    );
  const names = [
    'secrets',
    'services',
    'tasks',
    'nodes',
    'tokens',
    'admins',
    'cluster',
    'recovery',
    'compromise',
    'local',
  ];
  const client = {
    ...Object.fromEntries(names.map((name) => [name, part(name)])),
    close: () => {
      closed.count += 1;
      return Promise.resolve();
    },
  };
  return { client: client as unknown as ConclaveClient, calls, values, secrets, closed };
}
