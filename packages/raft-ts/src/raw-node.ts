import { isStorageResponse, kindOf, networkProblem, problemOf } from './checks.js';
import { encodeConfChange } from './codec/conf-change.js';
import type { Config } from './config.js';
import type { RaftCore } from './core.js';
import { createCore } from './create.js';
import { startElection } from './election.js';
import { ConfigError, ProposalDroppedError, RaftInvariantError, StepError } from './errors.js';
import { applyConfChange } from './membership.js';
import type { Message } from './message-types.js';
import { draft, NO_BYTES } from './messages.js';
import type { MessageDraft } from './messages.js';
import type { NodeId } from './numbers.js';
import { NONE } from './numbers.js';
import { ReadyMaker } from './ready.js';
import type { Ready } from './ready-types.js';
import { becomeFollower } from './roles.js';
import type { BasicStatus, ProgressView, Status } from './status-types.js';
import { basicStatusOf, statusOf } from './status.js';
import { step, stepInRole } from './step.js';
import { tick } from './ticks.js';
import type { ConfChange, ConfState, EntryType } from './types.js';

/** Initial member of a cluster. */
export interface BootstrapPeer {
  readonly id: NodeId;
  /** Handed to the application with the change that adds the member. */
  readonly context?: Uint8Array;
}

/** What became of a snapshot that was sent. */
export type SnapshotStatus = 'finish' | 'failure';

let readCore: (node: RawNode) => RaftCore;

/** The state inside a node; for this package's own test hooks. */
export function coreOf(node: RawNode): RaftCore {
  return readCore(node);
}

/**
 * A member of a cluster as a pure state machine: no timers, no I/O. Input is a call, output is a
 * Ready. The host ticks it, steps messages into it, writes and sends what a Ready says, and applies
 * what is committed.
 *
 * Not re-entrant: calling it from its own logger, storage or trace hook throws. An exception of one
 * of these, and every violated invariant, makes the node unusable: all later calls throw the same
 * RaftInvariantError.
 */
export class RawNode {
  static {
    readCore = (node) => node.#core;
  }

  readonly #core: RaftCore;
  readonly #maker: ReadyMaker;
  readonly #isAsync: boolean;
  #isBusy = false;
  #failure: RaftInvariantError | undefined = undefined;

  /**
   * Reads the storage. The configuration is that of the stored snapshot; changes committed after it
   * come again with the committed entries and have to be applied again.
   *
   * @throws ConfigError for a wrong configuration
   * @throws RaftInvariantError for a storage that contradicts itself
   */
  constructor(config: Config) {
    try {
      this.#core = createCore(config);
      this.#maker = new ReadyMaker(this.#core);
    } catch (error) {
      throw error instanceof ConfigError ? error : invariantError(error);
    }
    this.#isAsync = this.#core.settings.asyncStorageWrites;
  }

  /**
   * Lets one tick of the logical clock pass, without waiting for anything. It may start an election,
   * send heartbeats, or make a leader step down. After a pause the host makes up for at most one
   * election timeout of ticks.
   */
  tick(): void {
    this.#enter();
    try {
      tick(this.#core);
    } catch (error) {
      throw this.#failed(error);
    } finally {
      this.#isBusy = false;
    }
  }

  /**
   * Starts an election. Ignored by leaders, learners, removed nodes, and nodes with a snapshot or a
   * change of the configuration that is not applied yet.
   */
  campaign(): void {
    const { preVote } = this.#core.settings;
    this.#run(() => startElection(this.#core, preVote ? 'preElection' : 'election'));
  }

  /**
   * Proposes an entry. A follower sends it to its leader. That this returns does not mean that the
   * entry will be committed; after forwarding it may be lost silently, and a retry may commit it
   * twice.
   *
   * @param data kept; must not be modified
   * @throws ProposalDroppedError if it certainly went nowhere
   */
  propose(data: Uint8Array): void {
    this.#propose('EntryNormal', data);
  }

  /**
   * Proposes a change of the configuration. It takes effect when it is applied. One at a time: a
   * change that is not possible now becomes an empty entry, without an error.
   *
   * @throws ProposalDroppedError if it certainly went nowhere
   * @throws RaftCodecError if it has no encoding
   */
  proposeConfChange(change: ConfChange): void {
    const { type, data } = encodeConfChange(change);
    this.#propose(type, data);
  }

  /**
   * Puts a committed change into effect: exactly once for each applied entry that carries one, in
   * the order of the log, before further entries are applied. To veto a change, the host applies it
   * with node ids 0.
   *
   * @returns the configuration now, which belongs into snapshots
   * @throws RaftInvariantError if the change is not possible
   */
  applyConfChange(change: ConfChange): ConfState {
    return this.#run(() => applyConfChange(this.#core, change));
  }

  /**
   * Handles a message from the network, or the answer of a local storage thread. Duplicates, loss
   * and reordering are fine, but local answers must come in the order of the writes.
   *
   * The host makes sure that `from` is who sent it. The message is kept, not modified.
   *
   * @throws StepError for local messages, answers of unknown nodes, and malformed messages; nothing
   *   has changed then
   * @throws ProposalDroppedError for a proposal that cannot be accepted
   */
  step(message: Message): void {
    this.#enter();
    try {
      this.#check(message);
      step(this.#core, message);
    } catch (error) {
      throw this.#failed(error);
    } finally {
      this.#isBusy = false;
    }
  }

  /** Whether `ready` has anything to say. */
  hasReady(): boolean {
    this.#enter();
    // Nothing of the host is called, so nothing can be thrown.
    this.#isBusy = false;
    return this.#maker.hasReady();
  }

  /**
   * Hands out the next Ready; see there for what has to be done with it, and in which order. In
   * synchronous mode `advance` comes before the next one.
   */
  ready(): Ready {
    this.#enter();
    try {
      const ready = this.#maker.make();
      this.#maker.accept(ready);
      return ready;
    } catch (error) {
      throw this.#failed(error);
    } finally {
      this.#isBusy = false;
    }
  }

  /** The next Ready without accepting it: it is for looking only, and must not be acted on. */
  peekReady(): Ready {
    return this.#run(() => this.#maker.peek());
  }

  /**
   * Synchronous mode: everything the last Ready asked for is done, written and applied. Once for
   * each Ready.
   *
   * @throws RaftInvariantError in asynchronous mode, where answers are stepped instead
   */
  advance(): void {
    this.#run(() => {
      const core = this.#core;
      if (this.#isAsync) core.fail('Advance must not be called when using AsyncStorageWrites');
      for (const message of this.#maker.takeSteps()) step(core, message);
    });
  }

  /**
   * Asks for an index that is safe to read at. It comes back as a ReadState, or never: without a
   * leader, after a loss, or when the leader changes. Retry with another context.
   *
   * @param requestCtx recognizes the answer; never used twice
   */
  readIndex(requestCtx: Uint8Array): void {
    const request = draft('MsgReadIndex', NONE);
    request.entries = [{ term: 0, index: 0, type: 'EntryNormal', data: requestCtx }];
    this.#handle(request);
  }

  /**
   * Asks the leader to hand over to another voter. Proposals are refused meanwhile. It is given up
   * after one election timeout, without notice. A follower passes the request on.
   */
  transferLeader(transferee: NodeId): void {
    this.#handleAbout('MsgTransferLeader', transferee);
  }

  /**
   * Makes a follower forget its leader, so that it may vote before its lease ends. For hosts that
   * know from elsewhere that the leader is gone. No effect with lease-based reads.
   */
  forgetLeader(): void {
    this.#handle(draft('MsgForgetLeader', NONE));
  }

  /**
   * Tells the leader that messages to a node are not delivered: once for each failed burst, not for
   * each message. Pipelining is off until it answers.
   */
  reportUnreachable(id: NodeId): void {
    this.#handleAbout('MsgUnreachable', id);
  }

  /**
   * Tells the leader what became of a snapshot it sent. Mandatory after each MsgSnap: without it,
   * and without an answer of the follower, nothing is sent to it any more.
   *
   * @param status 'finish': delivered; 'failure': anything else, also a crash of the sender
   */
  reportSnapshot(id: NodeId, status: SnapshotStatus): void {
    const report = draft('MsgSnapStatus', NONE);
    report.from = id;
    report.reject = status === 'failure';
    this.#handle(report);
  }

  /** A copy of the state. O(nodes). */
  status(): Status {
    return this.#run(() => statusOf(this.#core));
  }

  /** A copy of the state without configuration and progress. O(1). */
  basicStatus(): BasicStatus {
    return this.#run(() => basicStatusOf(this.#core));
  }

  /**
   * Visits what this node tracks about all nodes, in the order of their ids. Only a leader's values
   * mean anything. `visit` must not call this node and not keep `progress`.
   */
  visitProgress(
    visit: (id: NodeId, type: 'peer' | 'learner', progress: ProgressView) => void,
  ): void {
    this.#run(() => {
      for (const [id, progress] of this.#core.tracker.progress) {
        visit(id, progress.isLearner ? 'learner' : 'peer', progress);
      }
    });
  }

  /**
   * Gives a new cluster its first members, as committed entries of term 1. The same members in the
   * same order on each of them, before anything else; never on a node that joins later.
   *
   * @throws ConfigError if there are no members, or the storage is not empty
   */
  bootstrap(peers: readonly BootstrapPeer[]): void {
    this.#run(() => {
      const core = this.#core;
      if (peers.length === 0) {
        throw new ConfigError('storage', 'must provide at least one peer to Bootstrap');
      }
      if (core.log.lastIndex() !== 0) {
        throw new ConfigError('storage', "can't bootstrap a nonempty Storage");
      }
      this.#maker.forgetHardState();
      becomeFollower(core, 1, NONE);
      const changes = peers.map(additionOf);
      core.log.append(
        changes.map((change, i) => ({ term: 1, index: i + 1, ...encodeConfChange(change) })),
      );
      core.log.committed = changes.length;
      // In effect at once, so that a single member can campaign. They are applied once more as
      // committed entries, which changes nothing.
      for (const change of changes) applyConfChange(core, change);
    });
  }

  #propose(type: EntryType, data: Uint8Array): void {
    const proposal = draft('MsgProp', NONE);
    proposal.from = this.#core.id;
    proposal.entries = [{ term: 0, index: 0, type, data }];
    this.#handle(proposal);
  }

  #handleAbout(type: 'MsgTransferLeader' | 'MsgUnreachable', id: NodeId): void {
    const message = draft(type, NONE);
    message.from = id;
    this.#handle(message);
  }

  /** Handles a message of the host itself, which is of no term. */
  #handle(message: MessageDraft): void {
    this.#enter();
    try {
      stepInRole(this.#core, message as Message);
    } catch (error) {
      throw this.#failed(error);
    } finally {
      this.#isBusy = false;
    }
  }

  #check(message: Message): void {
    const { type, from } = message;
    let problem: string | undefined;
    if (isStorageResponse(message)) {
      problem = problemOf(message);
    } else {
      const kind = kindOf(type);
      if (kind === 'local') throw new StepError('STEP_LOCAL_MESSAGE');
      if (kind === 'response' && !this.#core.tracker.progress.has(from)) {
        throw new StepError('STEP_PEER_NOT_FOUND');
      }
      problem = kind === undefined ? 'unknown type' : networkProblem(message, this.#core.id);
    }
    if (problem !== undefined) throw new StepError('STEP_MALFORMED', problem);
  }

  #enter(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isBusy) {
      throw new RaftInvariantError('called from its own logger, storage or trace hook');
    }
    this.#isBusy = true;
  }

  #run<T>(work: () => T): T {
    this.#enter();
    try {
      return work();
    } catch (error) {
      throw this.#failed(error);
    } finally {
      this.#isBusy = false;
    }
  }

  /** Keeps everything but expected refusals, so that later calls throw it again. */
  #failed(error: unknown): unknown {
    if (
      error instanceof StepError ||
      error instanceof ProposalDroppedError ||
      error instanceof ConfigError
    ) {
      return error;
    }
    this.#failure = invariantError(error);
    return this.#failure;
  }
}

function invariantError(error: unknown): RaftInvariantError {
  if (error instanceof RaftInvariantError) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new RaftInvariantError(`unexpected exception: ${text}`, { cause: error });
}

function additionOf({ id, context }: BootstrapPeer): ConfChange {
  const change = { type: 'ConfChangeAddNode', nodeId: id } as const;
  return { version: 1, change, context: context ?? NO_BYTES };
}
