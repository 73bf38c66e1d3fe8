import { randomFillSync, randomInt } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { Clock, Random, TimerHandle, Timers } from '@conclave/kernel';
import type { ClientEnvironment } from '@conclave/client';
import type { Tools } from './command-spec.js';
import { ContextFiles } from './context-files.js';

const CLOCK: Clock = { now: () => Date.now(), monotonic: () => performance.now() };

const RANDOM: Random = {
  bytes: (count) => randomFillSync(new Uint8Array(new ArrayBuffer(count))),
  below: (limit) => (limit === 1 ? 0 : randomInt(limit)),
};

const timerOf = (timer: NodeJS.Timeout): TimerHandle => ({ cancel: () => clearTimeout(timer) });

const TIMERS: Timers = {
  after: (delayMs, callback) => timerOf(setTimeout(callback, delayMs)),
  every: (periodMs, callback) => timerOf(setInterval(callback, periodMs)),
};

/** The daemon is its own program beside this one; it reads the command line of its process. */
async function startDaemon(argv: readonly string[]): Promise<void> {
  const daemon = new URL('./conclaved.js', import.meta.url);
  process.argv = [process.argv[0] ?? 'node', daemon.pathname, ...argv];
  await import(daemon.href);
}

function environment(deadlineMs: number | undefined): ClientEnvironment {
  return {
    clock: CLOCK,
    timers: TIMERS,
    random: RANDOM,
    readDeadlineMs: deadlineMs,
    writeDeadlineMs: deadlineMs,
  };
}

/** Time, randomness and connections of this process. The client is loaded when it is needed. */
export function processTools(signal: AbortSignal): Tools {
  return {
    connect: async ({ deadlineMs, socketPath }) => {
      const { connectLocal } = await import('@conclave/client');
      const userId = process.getuid?.() ?? 0;
      return await connectLocal({ ...environment(deadlineMs), socketPath, userId });
    },
    connectRemote: async ({ credentials, deadlineMs }) => {
      const { connectRemote, refuseCommandEnvironment } = await import('@conclave/client');
      refuseCommandEnvironment(process.env, process.execArgv);
      return connectRemote({ ...environment(deadlineMs), credentials });
    },
    contexts: new ContextFiles(process.env, RANDOM),
    requestKeys: new ContextFiles(process.env, RANDOM, 'requests'),
    startDaemon,
    clock: CLOCK,
    random: RANDOM,
    signal,
  };
}
