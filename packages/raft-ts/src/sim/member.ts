import { decodeConfChange } from '../codec/conf-change.js';
import type { RaftCore } from '../core.js';
import { ProposalDroppedError, StepError } from '../errors.js';
import type { Message } from '../message-types.js';
import type { Index, NodeId } from '../numbers.js';
import { LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD } from '../numbers.js';
import { coreOf, RawNode } from '../raw-node.js';
import type { Ready } from '../ready-types.js';
import type { ConfState, Entry, StateType } from '../types.js';
import type { DiskWrite } from './disk.js';
import { SimDisk } from './disk.js';
import { EVENT } from './events.js';
import type { SimStateMachine } from './machine.js';
import { Prng } from './prng.js';
import type { Micros } from './scheduler.js';
import { coreConfig } from './core-config.js';
import { LateAnswers } from './late-answers.js';
import { SnapshotKeeper } from './snapshot-keeper.js';
import { nodeOptions } from './script/script-text.js';
import type { ProposalWatcher, Subject, SubjectNode } from './subject.js';
import type { World } from './world.js';

/** Readys in a row before a member is taken for stuck. */
const READYS_MAX = 10_000;

/** Where a crash happens during the next write. */
export const CRASH_POINT = { none: 0, beforeWrite: 1, beforeResponses: 2 } as const;

/**
 * A member in bare mode: a RawNode, a model of its disk and its state machine, without promises. It
 * does what a host has to do, in either storage mode, and dies and comes back.
 */
export class SimMember implements Subject {
  readonly id: NodeId;
  readonly disk: SimDisk = new SimDisk();
  readonly machine: SimStateMachine;
  node!: RawNode;
  core!: RaftCore;
  /** Counts starts; events of earlier lives are void. */
  life = 0;
  isUp = false;
  /** Whether it was shut down for good. */
  isRetired = false;
  readonly isLost = false;
  readonly answersProposals = false;
  pausedUntil: Micros = 0;
  /** The disk does nothing before this time. */
  stalledUntil: Micros = 0;
  /** Time between two ticks of its clock. */
  tickMicros: Micros;
  crashPoint: number = CRASH_POINT.none;
  /** How long it stays away after the next crash. */
  downMicros: Micros = 1;

  /** Last index the state machine has taken in, and the configuration there. */
  applied: Index = 0;
  confState!: ConfState;

  /** What the checker saw last. */
  seenRole: StateType = 'StateFollower';
  seenTerm = 0;
  seenCommit: Index = 0;

  readonly #world: World;
  readonly #prng: Prng;
  readonly #snapshots: SnapshotKeeper;
  readonly #lateAnswers: LateAnswers;
  #isWriting = false;
  #isApplying = false;
  #isReadyDue = false;
  #applyQueue: Message[] = [];
  /** Entries up to here are part of a snapshot that replaces, or has replaced, the state. */
  #floor: Index = 0;
  /** Synchronous mode: the Ready whose write is under way. */
  #open: Ready | undefined = undefined;
  #isOpenLate = false;

  /**
   * @param id below IDS_MAX
   * @param world where it lives
   */
  constructor(id: NodeId, world: World) {
    this.id = id;
    this.#world = world;
    this.#prng = new Prng(world.seed).split(`member ${id}`);
    this.#snapshots = new SnapshotKeeper(this, world, this.#prng);
    this.#lateAnswers = new LateAnswers(id, world, this.#prng);
    this.machine = world.createMachine();
    this.tickMicros = world.parameters.tickMicros;
  }

  /** Starts from what is durable. */
  start(): void {
    const snapshot = this.disk.load();
    const { index, confState } = snapshot.metadata;
    this.machine.restore(snapshot.data);
    this.applied = index;
    this.confState = confState;
    this.life++;
    this.isUp = true;
    this.#noteStart(index);
    this.#lateAnswers.begin();
    const { id, disk } = this;
    const { parameters, logger } = this.#world;
    const random = (n: number): number => this.#prng.below(n);
    const own = { id, storage: disk.storage, applied: index, random };
    this.node = new RawNode({ ...coreConfig(parameters, logger), ...own });
    this.core = coreOf(this.node);
    disk.storage.onSnapshotWanted = (): boolean => this.#snapshots.offer();
    this.#floor = index;
    this.#world.checker.started(this);
    const { scheduler } = this.#world;
    scheduler.after(this.#prng.below(this.tickMicros), EVENT.tick, this.id).a = this.life;
  }

  #noteStart(applied: Index): void {
    const { journal, parameters } = this.#world;
    if (this.life > 1) journal?.restart(this.id, applied, this.disk.hardState.commit);
    else if (applied === 0) journal?.command(`add-nodes 1 ${nodeOptions(parameters)}`);
  }

  /** Dies: everything in memory is gone, unsynced writes perhaps. */
  crash(): void {
    this.isUp = false;
    this.life++;
    this.pausedUntil = 0;
    this.crashPoint = CRASH_POINT.none;
    this.#isWriting = false;
    this.#isApplying = false;
    this.#isReadyDue = false;
    this.#applyQueue = [];
    const { journal, parameters } = this.#world;
    const { survivors, isExact } = this.disk.crash(this.#prng, parameters.tearsWrites);
    for (const { message } of survivors) {
      if (message !== undefined) journal?.worked(message, undefined);
    }
    journal?.crashed(this.id, isExact && (this.#open === undefined || survivors.length > 0));
    this.#open = undefined;
    this.#world.crashed(this);
  }

  /** Lets one tick pass, and schedules the next one. */
  tick(): void {
    const { scheduler, journal } = this.#world;
    scheduler.after(this.tickMicros, EVENT.tick, this.id).a = this.life;
    const { core, node } = this;
    const sentCount = (): number => core.messages.length + core.messagesAfterAppend.length;
    if (journal === undefined) node.tick();
    else journal.tick(this, sentCount, () => node.tick());
    this.settle();
  }

  /** Handles a message from the network. */
  receive(message: Message): boolean {
    this.#world.coverage.delivered(this.core.role, this.core.term, message);
    const isTaken = this.#step(message, true);
    this.settle();
    return isTaken;
  }

  /** Calls the node as a host does, then does what follows from it. */
  call(work: (node: SubjectNode) => void): 'accepted' | 'dropped' {
    let outcome: 'accepted' | 'dropped' = 'accepted';
    try {
      work(this.#world.journal?.recording(this.id, this.node) ?? this.node);
    } catch (error) {
      if (!(error instanceof ProposalDroppedError)) throw error;
      this.#world.coverage.count(`proposal dropped: ${error.reason}`);
      outcome = 'dropped';
    }
    this.settle();
    return outcome;
  }

  propose(data: Uint8Array, watcher: ProposalWatcher): void {
    if (this.call((node) => node.propose(data)) === 'dropped') watcher.refused();
  }

  /** Its disk is a model without faults of its own. */
  harmDisk = (): boolean => false;

  /** @returns false for a message of a node that was removed, or a proposal without a leader */
  #step(message: Message, isFromNetwork = false): boolean {
    const { journal } = this.#world;
    try {
      if (journal === undefined || !isFromNetwork) this.node.step(message);
      else journal.receive(message, () => this.node.step(message));
      return true;
    } catch (error) {
      if (!(error instanceof StepError) && !(error instanceof ProposalDroppedError)) throw error;
      return false;
    }
  }

  /** Checks what an event did, and handles the Ready that follows from it, now or a bit later. */
  settle(): void {
    this.#world.checker.stepped(this);
    const { parameters, isCalm } = this.#world;
    const { readyMicrosMax } = parameters;
    if (readyMicrosMax === 0 || isCalm) {
      this.handleReady();
    } else if (!this.#isReadyDue && this.#open === undefined && this.node.hasReady()) {
      this.#isReadyDue = true;
      const delay = 1 + this.#prng.below(readyMicrosMax);
      this.#world.scheduler.after(delay, EVENT.ready, this.id).a = this.life;
    }
  }

  /** Handles everything the node hands out. */
  handleReady(): void {
    this.#isReadyDue = false;
    const { node } = this;
    let count = 0;
    while (this.#open === undefined && node.hasReady()) {
      const ready = node.ready();
      const { asyncStorageWrites } = this.#world.parameters;
      this.#world.journal?.ready(this.id, ready, asyncStorageWrites);
      this.#world.checker.ready(this, ready);
      if (asyncStorageWrites) this.#handleAsync(ready);
      else this.#handleSync(ready);
      if (++count > READYS_MAX) throw new Error(`member ${this.id} has no end of Readys`);
    }
  }

  #handleAsync(ready: Ready): void {
    for (const message of ready.messages) {
      if (message.to === LOCAL_APPEND_THREAD) {
        const { snapshot } = message;
        if (snapshot !== undefined) this.#floor = snapshot.metadata.index;
        this.disk.enqueue({
          hardState: ready.hardState,
          snapshot,
          entries: message.entries,
          mustSync: ready.mustSync || snapshot !== undefined,
          responses: message.responses,
          message,
        });
      } else if (message.to === LOCAL_APPLY_THREAD) {
        this.#applyQueue.push(message);
      } else {
        this.#send(message);
      }
    }
    if (ready.readStates.length > 0) this.#world.readable(this, ready.readStates);
    if (!this.#isWriting && this.disk.length > 0) this.#startWrite();
    if (!this.#isApplying && this.#applyQueue.length > 0) this.#startApply();
  }

  #handleSync(ready: Ready): void {
    const isLeader = this.core.role === 'StateLeader';
    if (isLeader) for (const message of ready.messages) this.#send(message);
    if (ready.readStates.length > 0) this.#world.readable(this, ready.readStates);
    const { hardState, snapshot, entries } = ready;
    const mustSync = ready.mustSync || snapshot !== undefined;
    this.#open = ready;
    this.#isOpenLate = !isLeader;
    if (hardState === undefined && !mustSync) {
      this.#finishSync();
      return;
    }
    const responses: readonly Message[] = [];
    this.disk.enqueue({ hardState, snapshot, entries, mustSync, responses, message: undefined });
    if (mustSync) {
      this.#world.journal?.opened(this.id);
      this.#startWrite();
    } else {
      this.disk.commit();
      this.#finishSync();
    }
  }

  #finishSync(): void {
    const ready = this.#open as Ready;
    this.#world.journal?.closed(this.id);
    if (this.#isOpenLate) for (const message of ready.messages) this.#send(message);
    this.#applyAll(ready.committedEntries);
    this.#open = undefined;
    this.node.advance();
    this.#world.checker.stepped(this);
    if (ready.committedEntries.length > 0) this.#world.progressed(this);
  }

  #send(message: Message): void {
    this.#world.checker.sent(this, message);
    this.#world.network.send(message);
  }

  #startWrite(): void {
    const { parameters, scheduler, isCalm } = this.#world;
    this.#isWriting = true;
    const latency = isCalm
      ? 10
      : parameters.diskMicrosMin + this.#prng.below(parameters.diskMicrosSpread);
    const delay = Math.max(0, this.stalledUntil - scheduler.now) + latency;
    const event = scheduler.after(delay, EVENT.written, this.id);
    event.a = this.life;
    // One sync for all that waits: group commit.
    event.b = this.disk.length;
  }

  written(count: number): void {
    this.#isWriting = false;
    for (let i = 0; i < count; i++) {
      if (this.crashPoint === CRASH_POINT.beforeWrite) return this.crash();
      const work = this.disk.commit();
      const { checker, journal } = this.#world;
      checker.wrote(this, work);
      const isEnd = this.crashPoint === CRASH_POINT.beforeResponses;
      const release = isEnd ? undefined : (): void => this.#release(work);
      if (journal === undefined || work.message === undefined) release?.();
      else journal.worked(work.message, release);
      if (isEnd) return this.crash();
    }
    if (this.#open !== undefined) this.#finishSync();
    else if (this.disk.length > 0) this.#startWrite();
    this.settle();
  }

  /** What may happen now that a piece of work is durable. */
  #release({ snapshot, responses }: DiskWrite): void {
    if (snapshot !== undefined) {
      this.machine.restore(snapshot.data);
      this.applied = snapshot.metadata.index;
      this.confState = snapshot.metadata.confState;
      this.#floor = this.applied;
      this.#world.checker.restored(this, snapshot);
      this.#world.progressed(this);
    }
    const own = responses.filter(({ to }) => to === this.id);
    for (const response of responses) if (response.to !== this.id) this.#send(response);
    if (!this.#lateAnswers.delay(own, this.life)) this.#takeAnswers(own);
  }

  answered(): void {
    this.#takeAnswers(this.#lateAnswers.take());
    this.settle();
  }

  #takeAnswers(answers: readonly Message[]): void {
    for (const answer of answers) {
      this.#world.checker.delivered(this, answer);
      this.#step(answer);
      this.#world.checker.stepped(this);
    }
  }

  #startApply(): void {
    const { parameters, scheduler, isCalm } = this.#world;
    this.#isApplying = true;
    const delay = isCalm ? 1 : this.#prng.below(parameters.applyMicrosSpread);
    scheduler.after(delay, EVENT.applied, this.id).a = this.life;
  }

  applyNext(): void {
    this.#isApplying = false;
    const message = this.#applyQueue.shift() as Message;
    const { journal } = this.#world;
    const work = (): void => this.#applyWork(message);
    if (journal === undefined) work();
    else journal.worked(message, work);
    if (this.#applyQueue.length > 0) this.#startApply();
    this.#world.progressed(this);
    this.settle();
  }

  #applyWork({ entries, responses }: Message): void {
    this.#applyAll(entries);
    for (const response of responses) this.#step(response);
  }

  /** A snapshot that the core has accepted covers what was handed out before; so does one it had. */
  #applyAll(entries: readonly Entry[]): void {
    const { log } = this.core;
    for (const entry of entries) {
      const isCovered = entry.index <= this.#floor || log.hasUnstableSnapshot();
      if (isCovered) this.#world.journal?.refuse('a snapshot covers what was to be applied');
      else this.#apply(entry);
    }
  }

  #apply(entry: Entry): void {
    const { checker } = this.#world;
    checker.applying(this, entry);
    let result = 0;
    if (entry.type !== 'EntryNormal') {
      this.confState = this.node.applyConfChange(decodeConfChange(entry));
    } else if (entry.data.length > 0) {
      result = this.machine.apply(entry);
    }
    this.applied = entry.index;
    checker.applied(this, entry);
    this.#world.applied(this, entry, result);
  }

  compact(y: number, z: number): boolean {
    this.#snapshots.compact(y, z);
    return true;
  }
}
