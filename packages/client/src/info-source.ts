import type { ClusterInfo } from '@conclave/wire';
import type { ClusterApi } from './cluster.js';
import { confirmedInfo } from './confirmed-info.js';
import type { CallOptions, ClientContext } from './context.js';
import { INFO_AGE_MS_MAX } from './limits.js';

/** Where values are sealed for; kept for a while, so that setting many asks for it once. */
export interface InfoSource {
  current(options: CallOptions): Promise<ClusterInfo>;
  /** The next `current` asks again. */
  forget(): void;
}

/** Keeps what the managers say for up to a minute. */
export function createInfoSource(context: ClientContext, cluster: ClusterApi): InfoSource {
  let kept: { info: Promise<ClusterInfo>; atMs: number } | undefined;
  return {
    current: async (options) => {
      const now = context.clock.monotonic();
      if (kept === undefined || now - kept.atMs > INFO_AGE_MS_MAX) {
        kept = { info: confirmedInfo(context, cluster, options), atMs: now };
      }
      const mine = kept;
      try {
        return await mine.info;
      } catch (error) {
        if (kept === mine) kept = undefined;
        throw error;
      }
    },
    forget: () => {
      kept = undefined;
    },
  };
}
