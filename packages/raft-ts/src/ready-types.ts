import type { Message } from './message-types.js';
import type { Entry, HardState, ReadState, Snapshot, SoftState } from './types.js';

/**
 * Work a node hands out. Read-only, and never modified later.
 *
 * Synchronous mode, in this order: write `snapshot`, then `entries` and `hardState` (synced if
 * `mustSync`), then send `messages`, apply `snapshot` and `committedEntries`, call `advance`. A
 * leader may send before it has written, nobody else may.
 *
 * With `asyncStorageWrites` the work is in the storage messages among `messages`; `hardState`,
 * `entries`, `snapshot` and `committedEntries` are for information only and must not be acted on.
 */
export interface Ready {
  /** Undefined: unchanged. Needs no storage. */
  readonly softState: SoftState | undefined;
  /** Undefined: unchanged. */
  readonly hardState: HardState | undefined;
  /** Each read may be served once the applied index reached its index; lost on leader change. */
  readonly readStates: readonly ReadState[];
  /** To be written before `messages` are sent. Replaces everything stored from the first one on. */
  readonly entries: readonly Entry[];
  /** To be written before `entries`; replaces the whole log and the application's state. */
  readonly snapshot: Snapshot | undefined;
  /** To be applied in order; configuration changes through `applyConfChange`. */
  readonly committedEntries: readonly Entry[];
  /**
   * To be sent in order. Synchronous mode: after the write, except by a leader. Asynchronous mode: at
   * once, since what promises something is in `responses`. A MsgSnap must be followed by
   * `reportSnapshot`.
   */
  readonly messages: readonly Message[];
  /**
   * False: of `hardState` only the commit index changed and there are no `entries`, so that this
   * write may be delayed or lost. A `snapshot` has to be durable in any case.
   */
  readonly mustSync: boolean;
}
