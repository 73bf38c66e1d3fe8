import type { Logger } from '../config.js';
import type { Message } from '../message-types.js';
import type { ConfState, Entry, ReadState } from '../types.js';
import { Checker } from './checks/checker.js';
import type { Coverage } from './coverage.js';
import { EVENT } from './events.js';
import { SimFailure } from './failure.js';
import { Liveness } from './liveness.js';
import type { SimStateMachine } from './machine.js';
import { RegisterMachine } from './machine.js';
import { CRASH_POINT, SimMember } from './member.js';
import { MarkReader } from './marks.js';
import { Nemesis } from './nemesis.js';
import { REPORT, SimNetwork } from './network.js';
import type { SimParameters } from './parameters.js';
import type { ActionSource, PlanAction } from './plan.js';
import { isOperation } from './plan.js';
import type { SimEvent } from './scheduler.js';
import { Scheduler } from './scheduler.js';
import { Recorder } from './recorder.js';
import type { ScriptJournal } from './script/journal.js';
import type { Subject } from './subject.js';
import type { World } from './world.js';
import { Workload } from './workload.js';

/** What a simulation is made of. */
export interface SimulationParts {
  readonly seed: number;
  readonly parameters: SimParameters;
  readonly actions: ActionSource;
  readonly coverage: Coverage;
  readonly logger?: Logger | undefined;
  /** Gets a line for each fault and each operation of a client. */
  readonly script?: string[] | undefined;
  /** Writes down what is done to the nodes; only in bare mode. */
  readonly journal?: ScriptJournal | undefined;
  /** Default: registers. The clients need their form of commands. */
  readonly createMachine?: (() => SimStateMachine) | undefined;
  /**
   * Creates a member, without starting it. Default: one in bare mode.
   *
   * @param founders the configuration the cluster starts with; undefined: the disk is empty
   */
  readonly createMember?: ((id: number, world: World, founders?: ConfState) => Subject) | undefined;
}

/** A cluster in virtual time, with clients, faults, and a checker. One run. */
export class Simulation implements World {
  readonly seed: number;
  readonly parameters: SimParameters;
  readonly coverage: Coverage;
  readonly logger: Logger | undefined;
  readonly scheduler: Scheduler = new Scheduler();
  readonly network: SimNetwork;
  readonly checker: Checker;
  readonly members: (Subject | undefined)[] = [undefined];
  readonly journal: ScriptJournal | undefined;
  readonly recorder: Recorder;
  /** All actions that were due. */
  readonly executed: PlanAction[] = [];
  /** Events so far. */
  events = 0;
  isCalm = false;

  readonly createMachine: () => SimStateMachine;
  readonly #createMember: (id: number, world: World, founders?: ConfState) => Subject;
  readonly #actions: ActionSource;
  readonly #workload: Workload;
  readonly #nemesis: Nemesis;
  readonly #liveness: Liveness;
  #action: PlanAction | undefined;
  #isAtRest = false;

  /** @param parts what it is made of */
  constructor(parts: SimulationParts) {
    const { seed, parameters, actions, coverage, logger, createMachine } = parts;
    this.seed = seed;
    this.recorder = new Recorder(parts.script);
    this.parameters = parameters;
    this.coverage = coverage;
    this.logger = logger;
    this.journal = parts.journal;
    this.createMachine = createMachine ?? ((): SimStateMachine => new RegisterMachine());
    this.#createMember = parts.createMember ?? createBareMember;
    const { scheduler, members } = this;
    this.network = new SimNetwork({ seed, parameters, scheduler, coverage });
    const situations = logger instanceof MarkReader ? logger.situations : undefined;
    this.checker = new Checker({ parameters, members, start: START.index, situations });
    this.#actions = actions;
    this.#workload = new Workload(this);
    this.#nemesis = new Nemesis(this, { create: () => this.#create() });
    this.#liveness = new Liveness(this, this.#workload);
  }

  /**
   * Runs to the end.
   *
   * @throws SimFailure for the first broken invariant
   */
  run(): void {
    try {
      this.begin();
      while (this.step());
      this.finish();
    } catch (error) {
      throw asSimFailure(error);
    }
  }

  /** Creates the cluster and the first action. */
  begin(): void {
    this.#found();
    this.#scheduleAction();
  }

  /** Lets one event happen. @returns false if nothing is left to happen */
  step(): boolean {
    const event = this.scheduler.next();
    if (event === undefined) return false;
    this.events++;
    this.recorder.note(event);
    this.#dispatch(event);
    this.scheduler.release(event);
    if (this.events === this.parameters.eventsMax) this.#calm();
    return !this.#isAtRest;
  }

  /** Checks what can only be checked at the end. */
  finish(): void {
    this.#workload.finish();
  }

  /** Creates and starts the first members, all with the same snapshot. */
  #found(): void {
    const { voters, learners } = this.parameters;
    const ids = Array.from({ length: voters + learners }, (_, i) => i + 1);
    const confState: ConfState = {
      voters: ids.slice(0, voters),
      votersOutgoing: [],
      learners: ids.slice(voters),
      learnersNext: [],
      autoLeave: false,
    };
    for (const id of ids) this.members[id] = this.#createMember(id, this, confState);
    for (const id of ids) this.members[id]?.start();
  }

  #create(): Subject | undefined {
    const id = this.members.length;
    if (id > this.parameters.membersMax) return undefined;
    const member = this.#createMember(id, this);
    this.members.push(member);
    member.start();
    return member;
  }

  #scheduleAction(): void {
    this.#action = this.#actions.next();
    if (this.#action === undefined) return;
    const delay = Math.max(0, this.#action.at - this.scheduler.now);
    this.scheduler.after(delay, EVENT.action, 0);
  }

  #act(): void {
    const action = this.#action as PlanAction;
    if (this.isCalm) return;
    this.executed.push(action);
    if (isOperation(action.kind)) this.#workload.begin(action);
    else this.#nemesis.act(action);
    this.#scheduleAction();
  }

  /** Ends all faults, and waits for the cluster to come to rest. */
  #calm(): void {
    this.isCalm = true;
    this.network.calm();
    for (const member of this.members) {
      if (member === undefined || member.isRetired) continue;
      member.pausedUntil = 0;
      member.stalledUntil = 0;
      member.crashPoint = CRASH_POINT.none;
      member.tickMicros = this.parameters.tickMicros;
      if (!member.isUp) member.start();
    }
    this.#scheduleLook();
  }

  #scheduleLook(): void {
    const { electionTick, tickMicros } = this.parameters;
    this.scheduler.after(electionTick * tickMicros, EVENT.operator, 0);
  }

  #dispatch(event: SimEvent): void {
    switch (event.kind) {
      case EVENT.action:
        this.#act();
        break;
      case EVENT.heal:
        this.#nemesis.heal(event.a);
        break;
      case EVENT.reply:
        this.#workload.replied(event.a, event.b);
        break;
      case EVENT.patience:
        this.#workload.lostPatience(event.a, event.b);
        break;
      case EVENT.operator:
        this.#isAtRest = this.#liveness.look();
        if (!this.#isAtRest) this.#scheduleLook();
        break;
      default:
        this.#dispatchToMember(event, this.members[event.target]);
    }
  }

  #dispatchToMember(event: SimEvent, member: Subject | undefined): void {
    if (member === undefined || member.isRetired) return;
    if (event.kind === EVENT.restart) {
      if (!member.isUp && member.life === event.a) member.start();
      return;
    }
    if (event.kind === EVENT.deliver) {
      this.#deliver(event, member);
      return;
    }
    const isOfThisLife = event.kind === EVENT.report || event.a === member.life;
    if (!member.isUp || !isOfThisLife) return;
    if (member.pausedUntil > this.scheduler.now) {
      this.scheduler.defer(event, member.pausedUntil);
      return;
    }
    switch (event.kind) {
      case EVENT.tick:
        member.tick();
        break;
      case EVENT.written:
        member.written(event.b);
        break;
      case EVENT.answered:
        member.answered?.();
        break;
      case EVENT.applied:
        member.applyNext();
        break;
      case EVENT.ready:
        member.handleReady();
        break;
      case EVENT.report:
        report(member, event);
        break;
      default:
        throw new Error(`unknown event ${event.kind}`);
    }
  }

  #deliver(event: SimEvent, member: Subject): void {
    const message = event.message as Message;
    if (!member.isUp) {
      if (message.type === 'MsgSnap') this.network.reportSnapshot(message, false);
      return;
    }
    if (member.pausedUntil > this.scheduler.now) {
      this.scheduler.defer(event, member.pausedUntil);
      return;
    }
    if (message.type === 'MsgSnap') this.network.reportSnapshot(message, true);
    this.checker.delivered(member, message);
    member.receive(message);
  }

  explain(text: () => string): void {
    this.recorder.explain(text);
    this.journal?.comment(text());
  }

  applied(member: Subject, entry: Entry, result: number): void {
    this.#workload.applied(member, entry, result);
  }

  progressed(member: Subject): void {
    this.#workload.progressed(member);
  }

  readable(member: Subject, states: readonly ReadState[]): void {
    this.#workload.readable(member, states);
  }

  crashed(member: Subject): void {
    this.#workload.crashed(member);
    if (member.isRetired) return;
    this.scheduler.after(member.downMicros, EVENT.restart, member.id).a = member.life;
  }
}

/** All that a run can throw is a broken invariant. */
export function asSimFailure(error: unknown): SimFailure {
  if (error instanceof SimFailure) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new SimFailure('0 assertions of the core', text, { cause: error });
}

/** Index and term of the snapshot a cluster starts with. */
export const START = { index: 2, term: 1 } as const;

function createBareMember(id: number, world: World, founders?: ConfState): SimMember {
  const member = new SimMember(id, world);
  if (founders === undefined) return member;
  const data = world.createMachine().snapshot();
  member.disk.format({ data, metadata: { ...START, confState: founders } });
  return member;
}

function report(member: Subject, { a: peer, b: what }: SimEvent): void {
  member.call((node) => {
    if (what === REPORT.unreachable) node.reportUnreachable(peer);
    else node.reportSnapshot(peer, what === REPORT.snapshotArrived ? 'finish' : 'failure');
  });
}
