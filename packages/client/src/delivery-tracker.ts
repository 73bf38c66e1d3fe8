import type { SecretUse } from '@conclave/wire';
import { RELOAD_GRACE_MS } from './limits.js';

/** What the bindings do on change: service name to target to kind ("none", "signal", ...). */
export type ReloadKinds = Map<string, ReadonlyMap<string, string>>;

/** How far a version has come. `deliveredCount <= bindingCount`, `reloadedCount <= reloadCount`. */
export interface DeliveryProgress {
  readonly version: number;
  /** Bindings of live tasks on nodes that follow the name. */
  readonly bindingCount: number;
  readonly deliveredCount: number;
  /** Bindings whose task ran with an older version and is to reload. */
  readonly reloadCount: number;
  readonly reloadedCount: number;
  /** Bindings that reported a failure for this version. */
  readonly failures: readonly SecretUse[];
  /** Bindings that have neither the version nor a failure yet. */
  readonly waiting: readonly SecretUse[];
  /** The name points at another version by now. */
  readonly isSuperseded: boolean;
  /** Nothing is left to wait for. */
  readonly isComplete: boolean;
}

/** Follows one version through the receipts. */
export interface DeliveryTracker {
  update(seen: {
    readonly uses: readonly SecretUse[];
    readonly kinds: ReloadKinds;
    readonly nowMs: number;
  }): DeliveryProgress;
}

/** What a binding ran with when it was first seen: nothing, an older version, or not known. */
type Origin = 'fresh' | 'older' | 'unknown';

const keyOf = (use: SecretUse): string => `${use.taskId}\n${use.target}`;

/** A tracker for `version`; `before` is what was known before the change, if anything. */
export function createDeliveryTracker(
  version: number,
  before?: readonly SecretUse[],
): DeliveryTracker {
  const firstSeen = new Map<string, { origin: Origin; atMs: number }>();
  const hadBefore = new Map((before ?? []).map((use) => [keyOf(use), use.deliveredVersion > 0]));

  const originOf = (use: SecretUse): Origin => {
    if (before !== undefined) return hadBefore.get(keyOf(use)) === true ? 'older' : 'fresh';
    if (use.deliveredVersion === 0) return 'fresh';
    return use.deliveredVersion === version ? 'unknown' : 'older';
  };

  return {
    update: ({ uses, kinds, nowMs }) => {
      const followers = uses.filter((use) => !use.pinned && use.nodeId !== '');
      const failures: SecretUse[] = [];
      const waiting: SecretUse[] = [];
      const counts = { delivered: 0, reload: 0, reloaded: 0 };
      for (const use of followers) {
        const key = keyOf(use);
        const seen = firstSeen.get(key) ?? { origin: originOf(use), atMs: nowMs };
        firstSeen.set(key, seen);
        const hasReload = (kinds.get(use.serviceName)?.get(use.target) ?? 'none') !== 'none';
        const isHere = use.deliveredVersion === version;
        const isReloaded = isHere && use.outcome === 'reloaded';
        const isGraceOver = nowMs - seen.atMs >= RELOAD_GRACE_MS;
        const isReloadDue =
          isReloaded ||
          (hasReload && (seen.origin === 'older' || (seen.origin === 'unknown' && !isGraceOver)));
        if (isReloadDue) counts.reload += 1;
        if (isReloaded) counts.reloaded += 1;
        if (isHere && use.outcome === 'failed') failures.push(use);
        else if (isHere) counts.delivered += 1;
        const isSettled = isHere && (use.outcome === 'failed' || isReloaded || !isReloadDue);
        if (!isSettled) waiting.push(use);
      }
      const isSuperseded = followers.some(
        (use) => use.wantedVersion !== 0 && use.wantedVersion !== version,
      );
      return {
        version,
        bindingCount: followers.length,
        deliveredCount: counts.delivered,
        reloadCount: counts.reload,
        reloadedCount: counts.reloaded,
        failures,
        waiting,
        isSuperseded,
        isComplete: waiting.length === 0 || isSuperseded,
      };
    },
  };
}
