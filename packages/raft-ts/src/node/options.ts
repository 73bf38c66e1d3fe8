import { DriverError } from './driver-error.js';
import type { Bytes, Logger, NodeId, Snapshot, Ticks, TraceEvent } from '../index.js';
import type {
  BootstrapPeer,
  Clock,
  ConfChangeEvent,
  LogStore,
  RoleChange,
  StateMachine,
  Transport,
} from './types.js';

/** Bounds of queues, batches and messages of one member. */
export interface NodeLimits {
  /** Payload of one proposal in bytes. Default 1 MiB + 64 KiB. */
  readonly proposalSizeMax: Bytes;
  /** Proposals that wait for their outcome. Default 8192. */
  readonly proposalsPendingMax: number;
  /** Reads that wait. Default 8192. */
  readonly readsPendingMax: number;
  /** Entries of one MsgApp by encoded size, soft. Default 512 KiB. */
  readonly messageSizeMax: Bytes;
  /** Committed entries being applied at a time by encoded size. Default 1 MiB. */
  readonly applyingSizeMax: Bytes;
  /** Payloads in the uncommitted tail of a leader. Default 16 MiB. */
  readonly uncommittedSizeMax: Bytes;
  /** Unacknowledged appends per follower. Default 256. */
  readonly inflightMessagesMax: number;
  /** Unacknowledged bytes per follower, >= messageSizeMax. Default 4 MiB. */
  readonly inflightSizeMax: Bytes;
  /** Payloads merged into one log write, soft. Default 4 MiB. */
  readonly writeSizeMax: Bytes;
  /** Storage messages waiting to be written; above, input of the network is dropped. Default 4096. */
  readonly appendQueueLengthMax: number;
  /** Payloads waiting to be written; above, input of the network is dropped. Default 64 MiB. */
  readonly appendQueueSizeMax: Bytes;
  /** Bytes of `StateSnapshot.data`. Default 64 KiB. */
  readonly snapshotDescriptorSizeMax: Bytes;
  /** Applied entries after which a snapshot is taken. Default 10_000. */
  readonly snapshotEntries: number;
  /** Applied payload bytes after which a snapshot is taken. Default 64 MiB. */
  readonly snapshotBytes: Bytes;
  /** Entries kept before a snapshot, so that lagging members need none. Default 1_000. */
  readonly keepEntries: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** The values of `NodeLimits` that hold unless an option says otherwise. */
export const DEFAULT_LIMITS: NodeLimits = Object.freeze({
  proposalSizeMax: MIB + 64 * KIB,
  proposalsPendingMax: 8192,
  readsPendingMax: 8192,
  messageSizeMax: 512 * KIB,
  applyingSizeMax: MIB,
  uncommittedSizeMax: 16 * MIB,
  inflightMessagesMax: 256,
  inflightSizeMax: 4 * MIB,
  writeSizeMax: 4 * MIB,
  appendQueueLengthMax: 4096,
  appendQueueSizeMax: 64 * MIB,
  snapshotDescriptorSizeMax: 64 * KIB,
  snapshotEntries: 10_000,
  snapshotBytes: 64 * MIB,
  keepEntries: 1_000,
});

/** Everything a running member is made of. */
export interface NodeOptions {
  /** Identity of this member, 1..MAX_NODE_ID; never reused, also not after a removal. */
  readonly id: NodeId;
  /** Exclusively this member's; opened and closed by the host. */
  readonly store: LogStore;
  readonly stateMachine: StateMachine;
  readonly transport: Transport;
  readonly clock: Clock;
  /**
   * Uniform integer in [0, n), n <= 2^32. Must be unpredictable between lives of a member (it
   * makes proposals of different lives distinct), or repeatable in simulations.
   */
  readonly random: (n: number) => number;
  /**
   * The voters of a new cluster, only for its first members and the same on each of them. Ignored
   * when the store is not empty. A member that joins later must not set it.
   */
  readonly bootstrap?: readonly BootstrapPeer[];
  /** Milliseconds per tick, >= 1. Default 100. */
  readonly tickMs?: number;
  /** Ticks without a leader before an election, > heartbeatTick. Default 10. */
  readonly electionTick?: Ticks;
  /** Ticks between heartbeats, >= 1. Default 1. */
  readonly heartbeatTick?: Ticks;
  /** Overrides of `DEFAULT_LIMITS`. */
  readonly limits?: Partial<NodeLimits>;
  /** Receives the lines of the core and of the driver; must not call the node. */
  readonly logger?: Logger;
  /** Receives the transitions of the core, for tests and checkers; must not call the node. */
  readonly trace?: (event: TraceEvent) => void;
  /**
   * Runs `f` once, soon, after the input that is already waiting. Proposals and messages that
   * arrive before share one round of messages and one log write. Default: as a microtask. A host
   * on Node.js gives `setImmediate`, which gathers the input of one turn of the event loop.
   */
  readonly schedule?: (f: () => void) => void;
  /** Called after the role, the leader or the term changed. */
  readonly onRoleChange?: (change: RoleChange) => void;
  /**
   * Called for every configuration that takes effect, in log order and between the calls of
   * `StateMachine.apply` before and after it; the next entry waits for the promise. Runs again
   * after a restart for changes since the last snapshot. A rejection is final, as with `apply`.
   */
  readonly onConfChange?: (event: ConfChangeEvent) => void | Promise<void>;
  /**
   * Called when a snapshot, own or received, is durable in the log store. The host may delete the
   * states of earlier ones as soon as no transfer uses them.
   */
  readonly onSnapshotStored?: (snapshot: Snapshot) => void;
  /** Called at each tick with the milliseconds it came too late: the delay of the event loop. */
  readonly onTickDelay?: (delayMs: number) => void;
}

/** Options with every default filled in. */
export interface ResolvedOptions extends NodeOptions {
  readonly tickMs: number;
  readonly electionTick: Ticks;
  readonly heartbeatTick: Ticks;
  readonly limits: NodeLimits;
  readonly schedule: (f: () => void) => void;
}

/**
 * Fills in defaults and checks what the core does not check.
 *
 * @throws DriverError OPTIONS when a value is out of range or this member is not in `bootstrap`
 */
export function resolveOptions(options: NodeOptions): ResolvedOptions {
  const given = Object.entries(options.limits ?? {}).filter(([, value]) => value !== undefined);
  const limits: NodeLimits = { ...DEFAULT_LIMITS, ...Object.fromEntries(given) };
  for (const [name, value] of Object.entries(limits)) {
    const min = name === 'keepEntries' ? 0 : 1;
    if (!Number.isSafeInteger(value) || value < min) {
      throw new DriverError('OPTIONS', `limits.${name} must be an integer of at least ${min}`);
    }
  }
  const { bootstrap, id } = options;
  if (bootstrap !== undefined && !bootstrap.some((peer) => peer.id === id)) {
    throw new DriverError('OPTIONS', 'bootstrap must contain this member');
  }
  const tickMs = options.tickMs ?? 100;
  if (!(tickMs >= 1)) throw new DriverError('OPTIONS', 'tickMs must be at least 1');
  return {
    ...options,
    tickMs,
    electionTick: options.electionTick ?? 10,
    heartbeatTick: options.heartbeatTick ?? 1,
    limits,
    schedule: options.schedule ?? scheduleMicrotask,
  };
}

function scheduleMicrotask(f: () => void): void {
  void Promise.resolve().then(f);
}
