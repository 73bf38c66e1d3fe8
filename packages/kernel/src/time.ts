/** The clock handed to everything below the daemon. */
export interface Clock {
  /** Wall clock, milliseconds since 1970 UTC. May jump; for records and certificates only. */
  now(): number;
  /** Milliseconds that never go back; for intervals, timeouts and leases. */
  monotonic(): number;
}

/** A timer that was set; `cancel` may be called at any time, also twice. */
export interface TimerHandle {
  cancel(): void;
}

/** The source of timers handed to everything below the daemon. */
export interface Timers {
  /** Runs `callback` once after `delayMs` (0..2^31-1). Never synchronously. */
  after(delayMs: number, callback: () => void): TimerHandle;
  /** Runs `callback` every `periodMs` (>= 1) until cancelled. */
  every(periodMs: number, callback: () => void): TimerHandle;
}

/** The part of an AbortSignal that this package uses; it names no platform. */
export interface CancelSignal {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** Resolves after `delayMs`, or at once with `aborted` when `signal` fires. Uses only `timers`. */
export function delay(
  timers: Timers,
  delayMs: number,
  signal?: CancelSignal,
): Promise<'elapsed' | 'aborted'> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve('aborted');
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      resolve('aborted');
    };
    const timer = timers.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve('elapsed');
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
