import { ConclaveError } from '@conclave/kernel';
import type { ErrorCode } from '@conclave/kernel';
import type { Tools } from '../../src/command-spec.js';
import type { ContextStore } from '../../src/contexts.js';
import { run } from '../../src/run.js';
import { fakeClient } from './fake-client.js';
import type { Answers, FakeClient } from './fake-client.js';
import { fakeIo } from './fake-io.js';
import type { FakeIo } from './fake-io.js';
import { MemoryContexts } from './memory-contexts.js';
import { NOW_MS } from './objects.js';

/** What a command line did. */
export interface Outcome extends FakeClient {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly io: FakeIo;
  readonly connected: { socketPath: string; deadlineMs: number | undefined }[];
  /** Administrators whose credentials were used to connect. */
  readonly remote: string[];
  readonly daemonArguments: string[][];
}

export interface Situation {
  readonly answers?: Answers | undefined;
  readonly stdin?: readonly (string | Uint8Array)[];
  readonly isTerminal?: boolean;
  readonly env?: Record<string, string>;
  readonly userId?: number;
  readonly connectError?: Error;
  /** Milliseconds between two looks at the clock. */
  readonly tickMs?: number;
  readonly io?: FakeIo;
  readonly contexts?: ContextStore;
  readonly requestKeys?: ContextStore;
}

/** Bytes that count up, so that tests know them. */
export const countingBytes = (count: number): Uint8Array =>
  Uint8Array.from({ length: count }, (_, offset) => offset % 256);

/** Runs one command line against given answers. */
export async function runCommand(
  argv: readonly string[],
  situation: Situation = {},
): Promise<Outcome> {
  const fake = fakeClient(situation.answers ?? {});
  const io = situation.io ?? fakeIo(situation);
  const connected: Outcome['connected'] = [];
  const daemonArguments: string[][] = [];
  const remote: string[] = [];
  let elapsedMs = 0;
  const tools: Tools = {
    connect: (options) => {
      connected.push(options);
      return situation.connectError === undefined
        ? Promise.resolve(fake.client)
        : Promise.reject(situation.connectError);
    },
    connectRemote: ({ credentials }) => {
      remote.push(credentials.name);
      return situation.connectError === undefined
        ? Promise.resolve(fake.client)
        : Promise.reject(situation.connectError);
    },
    contexts: situation.contexts ?? new MemoryContexts(),
    requestKeys: situation.requestKeys ?? new MemoryContexts(),
    startDaemon: (words) => {
      daemonArguments.push([...words]);
      return Promise.resolve();
    },
    clock: {
      now: () => NOW_MS,
      monotonic: () => {
        elapsedMs += situation.tickMs ?? 0;
        return elapsedMs;
      },
    },
    random: { bytes: countingBytes, below: () => 0 },
    signal: new AbortController().signal,
  };
  const code = await run(argv, io, tools);
  const { stderr, stdout } = io;
  return {
    ...fake,
    code,
    stdout: stdout.text,
    stderr: stderr.text,
    io,
    connected,
    remote,
    daemonArguments,
  };
}

export const failure = (code: ErrorCode, message = 'it failed', hint?: string): ConclaveError =>
  new ConclaveError(code, message, hint === undefined ? {} : { hint });
