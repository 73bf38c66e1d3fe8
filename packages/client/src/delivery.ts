import { delay } from '@conclave/kernel';
import { loadWire } from '@conclave/wire';
import type { SecretUse } from '@conclave/wire';
import { read, readStream } from './calls.js';
import type { CallOptions, ClientContext } from './context.js';
import { createDeliveryTracker } from './delivery-tracker.js';
import type { DeliveryProgress, ReloadKinds } from './delivery-tracker.js';
import {
  BACKOFF_FIRST_MS,
  DELIVERY_DEADLINE_MS,
  DELIVERY_POLL_MS,
  DELIVERY_POLL_MS_MIN,
} from './limits.js';
import { cancelled } from './retry.js';

/** Settings of `secrets.waitForDelivery`. `deadlineMs` defaults to 60 000. */
export interface WaitOptions extends CallOptions {
  /**
   * What `secrets.status` answered before the change. With it, a task that starts meanwhile is not
   * expected to reload; without it, such a task is given 5 s to do so.
   */
  readonly before?: readonly SecretUse[] | undefined;
  /** Called whenever a count has changed. */
  readonly onProgress?: ((progress: DeliveryProgress) => void) | undefined;
}

interface WaitFor {
  readonly secret: string;
  readonly version: number;
  readonly status: (secret: string, options: CallOptions) => AsyncIterable<SecretUse>;
}

const lastSegment = (name: string): string => name.slice(name.lastIndexOf('/') + 1);

/** What the bindings of `service` do on change, by target; nothing when it is gone. */
async function reloadKindsOf(
  context: ClientContext,
  service: string,
  options: CallOptions,
): Promise<ReadonlyMap<string, string>> {
  try {
    const call = { method: loadWire().Services.Get, request: { service, stale: true } };
    const { spec } = await read(context, call, options);
    return new Map(
      (spec?.bindings ?? []).map((binding) => [
        binding.target === '' ? lastSegment(binding.secretName) : binding.target,
        binding.onChange?.kind ?? 'none',
      ]),
    );
  } catch {
    // A service that was removed meanwhile: its last tasks are not expected to reload.
    return new Map();
  }
}

/** Resolves waits when something happened that may move the receipts. */
interface Wake {
  /** Resolves at an event, or after `timeoutMs`. */
  next(timeoutMs: number): Promise<void>;
  close(): void;
}

/** A watch is only a wake-up: when it fails, the wait goes on by looking again. */
function openWake(context: ClientContext): Wake {
  const control = new AbortController();
  let hasEvent = false;
  let waiter = new AbortController();
  const run = async (): Promise<void> => {
    const request = { kinds: ['receipt', 'task'], afterIndex: 0, snapshot: false };
    const call = { method: loadWire().Cluster.Watch, request, isEndless: true };
    for await (const event of readStream(context, call, { signal: control.signal })) {
      hasEvent ||= event.index > 0;
      waiter.abort();
    }
  };
  run().catch(() => undefined);
  return {
    next: async (timeoutMs) => {
      await delay(context.timers, DELIVERY_POLL_MS_MIN, control.signal);
      if (!hasEvent) {
        waiter = new AbortController();
        await delay(context.timers, timeoutMs, waiter.signal);
      }
      hasEvent = false;
    },
    close: () => {
      control.abort();
      waiter.abort();
    },
  };
}

async function readUses(wait: WaitFor, options: CallOptions): Promise<readonly SecretUse[]> {
  const uses: SecretUse[] = [];
  for await (const use of wait.status(wait.secret, options)) uses.push(use);
  return uses;
}

/**
 * Waits until every live task that follows the name has `version` and has done what its binding
 * says, or has failed to, or until the name points elsewhere. When the deadline comes first, it
 * answers what is known then, with `isComplete` false. Does not throw because of a late task.
 * @throws CV_CANCELLED when the signal fires, and what `secrets.status` throws
 */
export async function waitForDelivery(
  context: ClientContext,
  wait: WaitFor,
  options: WaitOptions,
): Promise<DeliveryProgress> {
  const endsAt = context.clock.monotonic() + (options.deadlineMs ?? DELIVERY_DEADLINE_MS);
  const kinds: ReloadKinds = new Map();
  const tracker = createDeliveryTracker(wait.version, options.before);
  const wake = openWake(context);
  const { signal } = options;
  let shown = '';
  let pollMs = BACKOFF_FIRST_MS;
  try {
    for (;;) {
      const now = context.clock.monotonic();
      const attempt = { deadlineMs: Math.max(1, endsAt - now), signal };
      const uses = await readUses(wait, attempt);
      for (const { serviceName } of uses) {
        if (kinds.has(serviceName)) continue;
        kinds.set(serviceName, await reloadKindsOf(context, serviceName, attempt));
      }
      const progress = tracker.update({ uses, kinds, nowMs: context.clock.monotonic() });
      const line = JSON.stringify({ ...progress, failures: progress.failures.length });
      if (line !== shown) options.onProgress?.(progress);
      shown = line;
      const leftMs = endsAt - context.clock.monotonic();
      if (progress.isComplete || leftMs <= 0) return progress;
      await wake.next(Math.min(pollMs, leftMs));
      if (signal?.aborted === true) throw cancelled(false);
      pollMs = Math.min(2 * pollMs, DELIVERY_POLL_MS);
    }
  } finally {
    wake.close();
  }
}

export type { DeliveryProgress } from './delivery-tracker.js';
