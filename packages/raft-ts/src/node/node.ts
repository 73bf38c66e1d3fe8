import { MAX_NODE_ID, RawNode } from '../index.js';
import type {
  BasicStatus,
  ConfChange,
  ConfState,
  Index,
  NetworkMessage,
  NodeId,
  RaftError,
  Status,
} from '../index.js';
import type { RaftCore } from '../core.js';
import { coreOf } from '../raw-node.js';
import { coreConfig } from './core-config.js';
import { DriverError } from './driver-error.js';
import { Member } from './member.js';
import { resolveOptions } from './options.js';
import type { NodeOptions } from './options.js';
import { anonymousContext } from './proposal-ids.js';
import { loadStartState } from './startup.js';
import type { CallOptions, DriverStatus, ProposalResult } from './types.js';

let readMember: (node: Node) => Member;

/** The state of the core inside a node; for this package's own checks. */
export function coreIn(node: Node): RaftCore {
  return coreOf(readMember(node).raw);
}

/**
 * A running member of a cluster: the core with its log store, its state machine and its clock.
 *
 * Everything that promises durability leaves only after `LogStore.write` has resolved. All methods
 * may be called at any time, from anywhere but the logger.
 */
export class Node implements AsyncDisposable {
  static {
    readMember = (node) => node.#member;
  }

  /**
   * Resolves, and only then, when the member has failed for good: a rejected call of the log store
   * or the state machine, or a violated invariant. Nothing is sent or written any more. The host
   * should end the process, keep the files and look at the error.
   */
  readonly fatal: Promise<RaftError>;
  readonly #member: Member;

  /**
   * Loads the log store, restores the state machine and starts the member.
   *
   * Committed entries after the snapshot are applied again in the background, beginning before this
   * resolves; use `linearizableRead` to wait for a state that is up to date.
   *
   * @throws DriverError OPTIONS; STORE_FAILED when the store cannot be read or is damaged;
   *   STATE_MACHINE_FAILED when the snapshot cannot be restored
   * @throws ConfigError when the core refuses a value
   */
  static async start(options: NodeOptions): Promise<Node> {
    const resolved = resolveOptions(options);
    const start = await loadStartState(resolved.store);
    const { snapshot } = start.loaded;
    if (snapshot !== undefined) {
      const { index, term, confState } = snapshot.metadata;
      try {
        await resolved.stateMachine.restore(snapshot);
        await resolved.onConfChange?.({ index, term, change: undefined, confState });
      } catch (cause) {
        throw new DriverError('STATE_MACHINE_FAILED', 'the snapshot was not restored', { cause });
      }
    }
    const raw = new RawNode(coreConfig(resolved, start));
    if (start.isNew && resolved.bootstrap !== undefined) {
      raw.bootstrap(
        resolved.bootstrap.map(({ id, context }) => ({ id, context: anonymousContext(context) })),
      );
    }
    return new Node(new Member(resolved, raw, start));
  }

  private constructor(member: Member) {
    this.#member = member;
    this.fatal = member.fatal;
  }

  /**
   * Proposes a command and waits until it is applied here, or its outcome cannot be known.
   *
   * Only a leader takes proposals; nothing is forwarded, so that a proposal is in the log at most
   * once. The bytes are copied. Never rejects; see `ProposalResult` for what a retry means.
   */
  propose(data: Uint8Array, options: CallOptions = {}): Promise<ProposalResult> {
    return this.#member.isOverloaded
      ? Promise.resolve({ outcome: 'rejected', reason: 'tooManyPending' })
      : this.#member.proposals.propose(data, options.signal);
  }

  /**
   * Proposes a change of the configuration and waits until it is applied here.
   *
   * One change at a time: the leader refuses another one until the last is applied, and any change
   * before it has committed an entry of its own term.
   *
   * @returns the configuration after the change; joint for a change that leaves it by itself
   * @throws DriverError REJECTED when it never takes effect, `reason` is a RejectReason; UNKNOWN
   *   when it may still, `reason` is an UnknownReason
   */
  async proposeConfChange(change: ConfChange, options: CallOptions = {}): Promise<ConfState> {
    const result = await this.#member.proposals.proposeConfChange(change, options.signal);
    if (result.outcome === 'applied') return result.value as ConfState;
    const code = result.outcome === 'rejected' ? 'REJECTED' : 'UNKNOWN';
    const { reason } = result;
    throw new DriverError(code, `configuration change ${result.outcome}: ${reason}`, { reason });
  }

  /**
   * Waits until the state machine contains everything that was committed anywhere before the call.
   *
   * Works on every member, learners too. While there is no leader it waits, without a limit of its
   * own: give a signal.
   *
   * @returns the index that was confirmed; the state machine is at least there
   * @throws DriverError REJECTED, `reason` aborted, stopped or tooManyPending
   */
  linearizableRead(options: CallOptions = {}): Promise<Index> {
    return this.#member.reads.read(options.signal);
  }

  /**
   * Takes a message of another member.
   *
   * The host must have checked that `message.from` is who sent it. Messages that are not for this
   * member or that no member sends are dropped, as is everything while log writes pile up. A
   * MsgSnap may be given only after the state it names has arrived and is durable at the host.
   */
  receive(message: NetworkMessage): void {
    const member = this.#member;
    if (!member.isAccepting) return;
    if (!isReceivable(message, member.options.id) || member.isOverloaded) {
      member.log('DEBUG', () => `dropped ${message.type} from ${message.from}`);
      return;
    }
    member.guarded(() => {
      member.raw.step(message);
    });
    // The apply worker must know before its next step that the core has switched to a snapshot.
    if (message.type === 'MsgSnap') member.run();
    else member.wake();
  }

  /** Tells what became of a MsgSnap; exactly once for each, see `Transport.send`. */
  reportSnapshot(to: NodeId, status: 'finish' | 'failure'): void {
    this.#command((raw) => {
      raw.reportSnapshot(to, status);
    });
  }

  /** Tells that messages to a member get lost; once per burst of failures. */
  reportUnreachable(to: NodeId): void {
    this.#command((raw) => {
      raw.reportUnreachable(to);
    });
  }

  /**
   * Starts an election without waiting for the timeout; for the first member of a cluster. It waits
   * until what is committed is applied. Leaders and learners ignore it.
   */
  campaign(): void {
    if (this.#member.isAccepting) this.#member.campaign();
  }

  /**
   * Makes another voter the leader. Proposals are refused meanwhile.
   *
   * @throws DriverError REJECTED when leadership stays or went elsewhere; UNKNOWN after an abort
   *   or when no leader is heard of, in which case the transfer may still succeed
   */
  transferLeadership(to: NodeId, options: CallOptions = {}): Promise<void> {
    return this.#member.transfers.transfer(to, options.signal);
  }

  /** State of the core. @throws RaftInvariantError after an invariant was violated */
  status(): Status {
    return this.#member.raw.status();
  }

  /** The part of `status` that costs nothing. @throws RaftInvariantError like `status` */
  basicStatus(): BasicStatus {
    return this.#member.raw.basicStatus();
  }

  /** Work that is open. Never throws. */
  driverStatus(): DriverStatus {
    return {
      applied: this.#member.apply.applied,
      proposalsPending: this.#member.proposals.count,
      readsPending: this.#member.reads.count,
      appendQueueLength: this.#member.append.length,
      appendQueueSize: this.#member.append.size,
      oldestWriteAgeMs: this.#member.oldestWriteAgeMs(),
      snapshotIndex: this.#member.append.snapshotIndex,
    };
  }

  /**
   * Stops the member: takes nothing in any more, finishes the writes and applications that are
   * queued, and ends all waiting. When it resolves, the log store and the state machine are not
   * used any more: it waits for their open calls, however long they take. Does not hand over
   * leadership; see `transferLeadership`. Idempotent.
   */
  stop(): Promise<void> {
    return this.#member.stop();
  }

  /** The same as `stop`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #command(f: (raw: RawNode) => void): void {
    const member = this.#member;
    if (!member.isAccepting) return;
    member.guarded(() => {
      f(member.raw);
    });
    member.wake();
  }
}

/** The core checks the rest; proposals and wishes to forget the leader are never sent. */
function isReceivable({ type, from, to }: NetworkMessage, id: NodeId): boolean {
  if (to !== id || from === id || from < 1 || from > MAX_NODE_ID) return false;
  return type !== 'MsgProp' && type !== 'MsgForgetLeader';
}
