import type { RaftCore } from '../../core.js';
import type { Message, NetworkMessage } from '../../message-types.js';
import { EMPTY_CONF_STATE } from '../../memory-storage.js';
import type { LogStore, NodeOptions } from '../../node/index.js';
import { Node } from '../../node/index.js';
import { coreIn } from '../../node/node.js';
import type { Index, NodeId } from '../../numbers.js';
import type { TraceEvent } from '../../trace.js';
import type { ConfState, Entry, Snapshot, StateType } from '../../types.js';
import { EVENT } from '../events.js';
import { SimFailure } from '../failure.js';
import type { SimStateMachine } from '../machine.js';
import { CRASH_POINT } from '../member.js';
import type { DiskFault } from '../parameters.js';
import { Prng } from '../prng.js';
import type { Micros } from '../scheduler.js';
import { START } from '../simulation.js';
import type { ProposalWatcher, Subject, SubjectNode } from '../subject.js';
import type { World } from '../world.js';
import { DiskQueue, diskDelay } from './disk-queue.js';
import { asSubjectNode, proposeTo } from './full-node.js';
import type { AnswerSink } from './full-node.js';
import { HostMachine } from './host-machine.js';
import type { MachineHost } from './host-machine.js';
import { DiskHealth } from './disk-health.js';
import { driverOptions } from './driver-options.js';
import type { FullParameters } from './parameters.js';
import { SimClock } from './sim-clock.js';
import { StuckWatch } from './stuck-watch.js';
import type { Turn } from './turn.js';
import type { SimulatedStorage } from './wal-log-store.js';
import { WatchedLog } from './watched-log.js';

/** What a member in full mode needs beside the world. */
export interface FullMemberParts {
  readonly parameters: FullParameters;
  readonly turn: Turn;
  readonly storage: SimulatedStorage;
  /** The configuration the cluster starts with; undefined: the disk is empty. */
  readonly founders: ConfState | undefined;
}

/**
 * A member in full mode: the real driver with a real log store, on simulated time, network and disk.
 */
export class FullMember implements Subject, MachineHost {
  readonly id: NodeId;
  readonly disk: WatchedLog;
  readonly machine: SimStateMachine;
  readonly answersProposals = true;
  core!: RaftCore;
  life = 0;
  isUp = false;
  isRetired = false;
  isLost = false;
  pausedUntil: Micros = 0;
  stalledUntil: Micros = 0;
  crashPoint: number = CRASH_POINT.none;
  downMicros: Micros = 1;
  applied: Index = 0;
  confState: ConfState = EMPTY_CONF_STATE;
  seenRole: StateType = 'StateFollower';
  seenTerm = 0;
  seenCommit: Index = 0;

  readonly #world: World;
  readonly #parts: FullMemberParts;
  readonly #prng: Prng;
  readonly #clock: SimClock;
  #node: Node | undefined;
  #io!: DiskQueue;
  #host!: HostMachine;
  #round: (() => void) | undefined;
  #isFormatted: boolean;
  readonly #health = new DiskHealth();
  readonly #stuck: StuckWatch;

  /**
   * @param id below IDS_MAX
   * @param world where it lives
   * @param parts what it is made of
   */
  constructor(id: NodeId, world: World, parts: FullMemberParts) {
    this.id = id;
    this.#world = world;
    this.#parts = parts;
    this.#prng = new Prng(world.seed).split(`member ${id}`);
    this.machine = world.createMachine();
    this.#isFormatted = parts.founders === undefined;
    this.#stuck = new StuckWatch(parts.parameters);
    this.disk = new WatchedLog(this.fail.bind(this));
    const { scheduler, parameters } = world;
    this.#clock = new SimClock(scheduler, parameters.tickMicros, () => {
      this.#after(this.#prng.below(this.tickMicros), EVENT.tick);
    });
  }

  get tickMicros(): Micros {
    return this.#clock.tickMicros;
  }

  set tickMicros(value: Micros) {
    this.#clock.tickMicros = value;
  }

  start(): void {
    const life = ++this.life;
    this.#parts.turn.touch(this);
    this.#io = new DiskQueue({
      schedule: (token) => {
        this.#scheduleDisk(token);
      },
      fault: () => this.#diskFault(),
    });
    this.#host = new HostMachine(this);
    this.applied = 0;
    this.confState = EMPTY_CONF_STATE;
    this.machine.restore(new Uint8Array(0));
    this.#start(this.#host, life).catch((error: unknown) => {
      if (this.life === life) this.#notStarted(error);
    });
  }

  async #start(host: HostMachine, life: number): Promise<void> {
    const store = this.disk.watch(this.#parts.storage.open(this.#io));
    await this.#format(store);
    const node = await Node.start(this.#options(store, host, life));
    if (this.life !== life) return;
    if (this.#health.isDamaged)
      throw new SimFailure('5 damage is noticed', `${this.id} has started`);
    this.core = coreIn(node);
    this.#node = node;
    this.isUp = true;
    this.#io.begin();
    host.begin();
    void node.fatal.then((error) => {
      if (this.life === life) this.#failed(error, 'the disk fails');
    });
    this.#parts.turn.check(() => {
      this.#world.checker.started(this);
    });
    this.handleReady();
  }

  /** The first start of a founder: its disk has the snapshot that the cluster starts with. */
  async #format(store: LogStore): Promise<void> {
    if (this.#isFormatted) return;
    await store.load();
    const metadata = { ...START, confState: this.#parts.founders ?? EMPTY_CONF_STATE };
    const snapshot = { data: this.machine.snapshot(), metadata };
    const hardState = { term: START.term, vote: 0, commit: START.index };
    await store.write({ entries: [], snapshot, hardState }, { sync: true });
    this.#isFormatted = true;
  }

  #options(store: LogStore, host: HostMachine, life: number): NodeOptions {
    const { parameters } = this.#parts;
    const isNow = (): boolean => this.life === life;
    return {
      ...driverOptions(parameters),
      id: this.id,
      store,
      stateMachine: host,
      clock: this.#clock,
      random: (n) => this.#prng.below(n),
      transport: {
        send: (messages) => {
          if (isNow()) this.#send(messages);
        },
      },
      schedule: (f) => {
        if (isNow()) this.#schedule(f);
      },
      trace: (event) => {
        if (isNow() && this.isUp) this.#observe(event);
      },
      onConfChange: ({ index, change, confState }) => {
        if (!isNow() || change === undefined) return;
        this.#parts.turn.check(() => {
          host.confChanged(index, confState);
        });
      },
      ...(this.#world.logger === undefined ? {} : { logger: this.#world.logger }),
    };
  }

  crash(): void {
    this.isUp = false;
    this.life++;
    this.pausedUntil = 0;
    this.crashPoint = CRASH_POINT.none;
    this.#health.failsNext = false;
    this.#node = undefined;
    this.#round = undefined;
    this.#clock.stop();
    this.#parts.storage.crash();
    this.#world.crashed(this);
  }

  receive(message: Message): boolean {
    this.#world.coverage.delivered(this.core.role, this.core.term, message);
    this.#node?.receive(message as NetworkMessage);
    this.#touch();
    return false;
  }

  call(work: (node: SubjectNode) => void): 'accepted' {
    if (this.#node !== undefined) work(asSubjectNode(this.#node, this.#sink()));
    this.#touch();
    return 'accepted';
  }

  propose(data: Uint8Array, watcher: ProposalWatcher): void {
    if (this.#node !== undefined) void proposeTo(this.#node, data, { watcher, sink: this.#sink() });
    this.#touch();
  }

  compact(): boolean {
    return false;
  }

  harmDisk(fault: DiskFault, until: Micros): boolean {
    if (fault === 'failDisk') this.#health.failsNext = true;
    else if (fault === 'fillDisk') this.#health.fullUntil = until;
    else return this.#loseDisk();
    return true;
  }

  /** The disk is lost, as a whole or by damage; the member never comes back under this id. */
  #loseDisk(): boolean {
    this.isLost = true;
    this.isRetired = this.#prng.chance(0.5);
    this.crash();
    this.#health.isDamaged = !this.isRetired && this.#parts.storage.rot();
    this.isRetired = !this.#health.isDamaged;
    return true;
  }

  tick(): void {
    if (!this.#clock.fire()) return;
    this.#after(this.tickMicros, EVENT.tick);
    if (this.#node !== undefined) {
      this.#stuck.tick(this.core.role, this.#node, this.#clock.now());
    }
    this.#touch();
  }

  written(token: number): void {
    if (this.crashPoint === CRASH_POINT.beforeWrite) {
      this.crash();
      return;
    }
    this.#io.finish(token);
    if (this.crashPoint === CRASH_POINT.beforeResponses) this.crash();
    else this.#touch();
  }

  applyNext(): void {
    this.#host.next();
    this.#touch();
  }

  handleReady(): void {
    const round = this.#round;
    this.#round = undefined;
    round?.();
    this.#touch();
  }

  /** See `Settler`. */
  settled(): void {
    if (!this.isUp || this.#node === undefined) return;
    if (this.#io.hasFailed) {
      throw new SimFailure('6 a failed write is final', `${this.id} goes on after an error`);
    }
    this.#host.advance(this.#node.driverStatus().applied);
    this.#world.checker.stepped(this);
    this.#world.progressed(this);
  }

  schedule(): void {
    const { parameters, isCalm } = this.#world;
    const delay = isCalm ? 1 : this.#prng.below(parameters.applyMicrosSpread);
    this.#after(delay, EVENT.applied);
  }

  applying(entry: Entry): void {
    this.#world.checker.applying(this, entry);
  }

  appliedEntry(entry: Entry, result: number): void {
    this.#world.checker.applied(this, entry);
    this.#world.applied(this, entry, result);
  }

  restored(snapshot: Snapshot): void {
    this.#world.checker.restored(this, snapshot);
  }

  fail(error: unknown): void {
    this.#parts.turn.fail(error);
  }

  #schedule(round: () => void): void {
    const { readyMicrosMax } = this.#parts.parameters;
    if (!this.isUp) {
      // Nobody could watch what it does before the start is over.
      this.#round = round;
      return;
    }
    if (readyMicrosMax === 0 || this.#world.isCalm) {
      void Promise.resolve().then(round);
      return;
    }
    this.#round = round;
    this.#after(1 + this.#prng.below(readyMicrosMax), EVENT.ready);
  }

  #observe(event: TraceEvent): void {
    if (event.kind !== 'ready' && event.kind !== 'receive') return;
    this.#parts.turn.check(() => {
      this.#world.checker.stepped(this);
      if (event.kind === 'ready') this.#world.checker.ready(this, event.ready);
    });
    if (event.kind !== 'ready') return;
    for (const { type, entries } of event.ready.messages) {
      if (type === 'MsgStorageApply') this.#host.handOut(entries);
    }
  }

  #send(messages: readonly NetworkMessage[]): void {
    this.#parts.turn.check(() => {
      for (const message of messages) {
        if (this.#node !== undefined) this.#stuck.check(this.core, this.#node, message);
        this.#world.checker.sent(this, message);
        this.#world.network.send(message);
      }
    });
  }

  #scheduleDisk(token: number): void {
    const { parameters, scheduler, isCalm } = this.#world;
    const { diskMicrosMin, diskMicrosSpread } = parameters;
    const latency = isCalm ? 10 : diskMicrosMin + this.#prng.below(diskMicrosSpread);
    this.#after(diskDelay(scheduler.now, this.stalledUntil, latency), EVENT.written).b = token;
  }

  #diskFault(): string | undefined {
    const { isCalm, scheduler } = this.#world;
    if (isCalm) return undefined;
    const isDying = !this.isUp && this.#prng.chance(this.#parts.parameters.startCrashes);
    return this.#health.fault(scheduler.now, isDying);
  }

  #notStarted(error: unknown): void {
    if (this.#health.isDamaged && !this.#io.hasFailed && !(error instanceof SimFailure)) {
      this.#world.coverage.count('damage is noticed');
      this.isRetired = true;
      return;
    }
    this.downMicros = 3 * this.#parts.parameters.tickMicros;
    this.#failed(error, 'the disk fails at the start');
  }

  /** The process ends, which is what it has to do when its disk fails, and only then. */
  #failed(error: unknown, what: string): void {
    if (!this.#io.hasFailed) {
      this.fail(error);
      return;
    }
    this.#world.coverage.count(what);
    this.crash();
  }

  #after(delay: Micros, kind: number): { a: number; b: number } {
    const event = this.#world.scheduler.after(delay, kind, this.id);
    event.a = this.life;
    return event;
  }

  #touch(): void {
    this.#parts.turn.touch(this);
  }

  #sink(): AnswerSink {
    const { life } = this;
    return {
      isOver: () => this.life !== life,
      readable: (state) => {
        this.#parts.turn.check(() => {
          this.#host.advance(this.#node?.driverStatus().applied ?? 0);
          this.#host.checkReadable(state.index);
          this.#world.readable(this, [state]);
        });
      },
      check: this.#parts.turn.check.bind(this.#parts.turn),
    };
  }
}
