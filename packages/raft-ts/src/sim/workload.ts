import type { Index, NodeId } from '../numbers.js';
import type { Entry, ReadState } from '../types.js';
import { EVENT } from './events.js';
import { SimFailure } from './failure.js';
import { LeaseBound } from './lease-bound.js';
import type { HistoryOperation } from './linearizability.js';
import { checkLinearizable } from './linearizability.js';
import { encodeCommand, WRITTEN } from './machine.js';
import type { OperationKind, PlanAction } from './plan.js';
import { Prng } from './prng.js';
import type { Micros } from './scheduler.js';
import type { Subject } from './subject.js';
import type { World } from './world.js';

const ATTEMPTS_MAX = 3;
/** When all faults have ended, an operation must succeed; this only ends a hopeless run. */
const CALM_ATTEMPTS_MAX = 1000;
/** Commands of this length come from clients, see `encodeCommand`. */
const COMMAND_SIZE = 24;

type Outcome = 'open' | 'done' | 'rejected' | 'unknown';

interface Operation {
  readonly id: number;
  readonly client: number;
  readonly kind: Exclude<OperationKind, 'burst'>;
  readonly key: number;
  readonly value: number;
  readonly expected: number;
  /** Number within the session; 0 for reads. */
  readonly sequence: number;
  readonly invokedAt: Micros;
  readonly start: number;
  returnedAt: number;
  /** When the first member applied it with effect; Infinity: not yet. */
  takenAt: number;
  result: number;
  outcome: Outcome;
  attempt: number;
  /** The member asked last. */
  member: NodeId;
  /** Attempts that are not refused for certain. */
  possible: number;
}

interface Session {
  sequence: number;
  open: Operation | undefined;
  /** Writes by sequence. */
  readonly writes: (Operation | undefined)[];
  readonly seen: number[];
}

interface OpenRead {
  readonly operation: Operation;
  readonly member: NodeId;
  readonly life: number;
  /** What it has to see: what was committed when it began, or a while before that with leases. */
  readonly indexMin: Index;
  index: Index;
}

/**
 * Clients with sessions: writes of unique values, conditional writes and linearizable reads, one at a
 * time each, repeated when no answer comes. At the end the history is checked, invariants 9 and 11.
 */
export class Workload {
  readonly #world: World;
  readonly #prng: Prng;
  readonly #sessions: Session[] = [];
  readonly #history: Operation[] = [];
  readonly #reads = new Map<number, OpenRead>();
  /** Reads may be old in this run, by no more than this. */
  readonly #leaseBound: LeaseBound | undefined = undefined;
  #waiting: OpenRead[] = [];
  #readCount = 0;
  #burstCount = 0;

  /** @param world where the clients live */
  constructor(world: World) {
    this.#world = world;
    this.#prng = new Prng(world.seed).split('clients');
    const { leaseReads, trustsLeases } = world.parameters;
    if (leaseReads && !trustsLeases) this.#leaseBound = new LeaseBound(world.parameters);
    for (let i = 0; i < world.parameters.clients; i++) {
      this.#sessions.push({ sequence: 0, open: undefined, writes: [], seen: [] });
    }
  }

  /** A client begins an operation, unless it waits for another one. */
  begin(action: PlanAction): void {
    const { kind, x, y, z } = action;
    if (kind === 'burst') {
      this.#burst(action);
      return;
    }
    const client = x % this.#sessions.length;
    const session = this.#sessions[client] as Session;
    if (session.open !== undefined || (kind !== 'read' && kind !== 'swap' && kind !== 'write')) {
      return;
    }
    const key = y % this.#world.parameters.keys;
    const operation: Operation = {
      id: this.#history.length,
      client,
      kind,
      key,
      value: kind === 'read' ? 0 : this.#history.length + 1,
      expected: session.seen[key] ?? 0,
      sequence: kind === 'read' ? 0 : ++session.sequence,
      invokedAt: this.#world.scheduler.now,
      start: z,
      returnedAt: Number.POSITIVE_INFINITY,
      takenAt: Number.POSITIVE_INFINITY,
      result: 0,
      outcome: 'open',
      attempt: 0,
      member: 0,
      possible: 0,
    };
    const { value, expected } = operation;
    this.#world.explain(() => {
      const what = kind === 'read' ? '' : ` value ${value}`;
      return `client ${client}: ${kind} key ${key}${what}${kind === 'swap' ? ` for ${expected}` : ''}`;
    });
    this.#history.push(operation);
    session.open = operation;
    if (operation.sequence > 0) session.writes[operation.sequence] = operation;
    this.#attempt(operation);
  }

  /** Proposals of many sizes, which fill windows and make logs differ where nobody is heard. */
  #burst({ x, y, z }: PlanAction): void {
    const { members, scheduler } = this.#world;
    const leaders = members.filter((m): m is Subject => m?.isUp === true && isLeader(m));
    const member = leaders[x % leaders.length];
    if (member === undefined || member.pausedUntil > scheduler.now) return;
    const count = 1 + (y % 8);
    this.#world.explain(() => `${count} proposals to member ${member.id}`);
    for (let i = 0; i < count && member.isUp; i++) {
      const size = 1 + ((z >>> i) % 200);
      const data = new Uint8Array(size === COMMAND_SIZE ? 1 : size).fill(++this.#burstCount % 251);
      // Whatever makes a leader refuse one of them holds for the next one, too.
      if (member.call((node) => node.propose(data)) === 'dropped') return;
    }
  }

  /** How many operations are open. */
  get openCount(): number {
    return this.#sessions.filter(({ open }) => open !== undefined).length;
  }

  #attempt(operation: Operation): void {
    operation.attempt++;
    const { scheduler, parameters } = this.#world;
    const patience = parameters.electionTick * parameters.tickMicros;
    const event = scheduler.after(patience, EVENT.patience, operation.client);
    event.a = operation.id;
    event.b = operation.attempt;
    const member = this.#choose(operation);
    if (member === undefined) return;
    operation.member = member.id;
    if (operation.kind === 'read') {
      this.#read(operation, member);
      return;
    }
    const { client, sequence, key, value, expected } = operation;
    const isSwap = operation.kind === 'swap' ? 1 : 0;
    const data = encodeCommand({ client, sequence, operation: isSwap, key, value, expected });
    // Noted first: the entry may be applied before the call returns.
    operation.possible++;
    member.propose(data, {
      refused: () => {
        operation.possible--;
      },
      applied: (result) => {
        this.#answer(operation, result);
      },
    });
  }

  /** A member that takes requests; after the faults, one that leads. */
  #choose({ start, attempt }: Operation): Subject | undefined {
    const { members, scheduler, isCalm } = this.#world;
    const able = members.filter(
      (member): member is Subject =>
        member?.isUp === true &&
        member.pausedUntil <= scheduler.now &&
        (!isCalm || isLeader(member)),
    );
    return able[(start + attempt * 7919) % able.length];
  }

  #read(operation: Operation, member: Subject): void {
    const number = ++this.#readCount;
    this.#reads.set(number, {
      operation,
      member: member.id,
      life: member.life,
      indexMin: this.#indexMin(),
      index: 0,
    });
    const context = new Uint8Array(Uint32Array.of(number).buffer);
    member.call((node) => node.readIndex(context));
  }

  #indexMin(): Index {
    const { scheduler, checker } = this.#world;
    const { commit } = checker.logs;
    return this.#leaseBound?.begin(scheduler.now, commit) ?? commit;
  }

  /** A member was told that reads may be served. */
  readable(member: Subject, states: readonly ReadState[]): void {
    for (const { index, requestCtx } of states) {
      const view = new DataView(requestCtx.buffer, requestCtx.byteOffset, 4);
      const number = view.getUint32(0, true);
      const read = this.#reads.get(number);
      if (read === undefined || read.member !== member.id || read.life !== member.life) continue;
      if (index < read.indexMin) {
        const when = this.#leaseBound === undefined ? 'before' : 'long before';
        const text = `${member.id} may read at ${index}, ${read.indexMin} was committed ${when}`;
        throw new SimFailure('9 reads do not go back', text);
      }
      this.#reads.delete(number);
      read.index = index;
      this.#waiting.push(read);
    }
    this.progressed(member);
  }

  /** The applied index of a member has grown: some reads can be answered. */
  progressed(member: Subject): void {
    if (this.#waiting.length === 0) return;
    const isReady = (read: OpenRead): boolean =>
      read.member === member.id && read.life === member.life && member.applied >= read.index;
    const ready = this.#waiting.filter(isReady);
    if (ready.length === 0) return;
    this.#waiting = this.#waiting.filter((read) => !isReady(read));
    for (const { operation } of ready) {
      this.#reply(operation, member.machine.read(operation.key));
    }
  }

  /** A member has died, and with it what it knew of clients. */
  crashed({ id }: Subject): void {
    this.#waiting = this.#waiting.filter(({ member }) => member !== id);
    for (const [number, read] of this.#reads) if (read.member === id) this.#reads.delete(number);
  }

  /** A member has applied an entry: the client may wait for it there. */
  applied(member: Subject, { data, type }: Entry, result: number): void {
    if (type !== 'EntryNormal' || data.length !== COMMAND_SIZE) return;
    const view = new DataView(data.buffer, data.byteOffset, COMMAND_SIZE);
    const session = this.#sessions[view.getUint32(0, true)];
    const operation = session?.writes[view.getUint32(4, true)];
    if (operation === undefined) return;
    if (operation.possible === 0) {
      const text = `operation ${operation.id} was refused, but ${member.id} applies it`;
      throw new SimFailure('11 refused is refused', text);
    }
    if (result === WRITTEN && operation.takenAt === Number.POSITIVE_INFINITY) {
      operation.takenAt = this.#world.scheduler.now;
    }
    if (member.answersProposals || operation.member !== member.id) return;
    this.#answer(operation, result);
  }

  #answer(operation: Operation, result: number): void {
    if (this.#sessions[operation.client]?.open === operation) this.#reply(operation, result);
  }

  #reply(operation: Operation, result: number): void {
    const { scheduler, parameters, isCalm } = this.#world;
    if (!isCalm && this.#prng.chance(parameters.loss)) return;
    const delay = this.#prng.below(parameters.delayMicrosSpread);
    const event = scheduler.after(delay, EVENT.reply, operation.client);
    event.a = operation.id;
    event.b = result;
  }

  /** An answer reaches its client. */
  replied(id: number, result: number): void {
    const operation = this.#history[id] as Operation;
    if (operation.outcome !== 'open') return;
    operation.result = result;
    operation.returnedAt = this.#world.scheduler.now;
    const session = this.#end(operation, 'done');
    if (operation.kind === 'read') session.seen[operation.key] = result;
    else if (result === WRITTEN) session.seen[operation.key] = operation.value;
  }

  /** A client has waited long enough for an attempt. */
  lostPatience(id: number, attempt: number): void {
    const operation = this.#history[id] as Operation;
    if (operation.outcome !== 'open' || operation.attempt !== attempt) return;
    if (attempt < (this.#world.isCalm ? CALM_ATTEMPTS_MAX : ATTEMPTS_MAX)) {
      this.#attempt(operation);
      return;
    }
    this.#world.coverage.count('client gives up');
    this.#end(operation, operation.possible > 0 ? 'unknown' : 'rejected');
  }

  #end(operation: Operation, outcome: Outcome): Session {
    operation.outcome = outcome;
    const session = this.#sessions[operation.client] as Session;
    session.open = undefined;
    return session;
  }

  /** Checks the whole history, each key by itself. */
  finish(): void {
    for (let key = 0; key < this.#world.parameters.keys; key++) {
      const isAsked = (operation: Operation): boolean =>
        operation.key === key && (operation.kind !== 'read' || this.#leaseBound === undefined);
      const history = this.#history.filter(isAsked);
      const verdict = checkLinearizable(history.flatMap(asHistory));
      this.#world.coverage.count(`history ${verdict}`);
      if (verdict !== 'violated') continue;
      throw new SimFailure('11 linearizable', `the history of key ${key} has no explanation`);
    }
  }
}

function isLeader({ core }: Subject): boolean {
  return core.role === 'StateLeader';
}

/** What a check needs to know of an operation; nothing if it had no effect for certain. */
function asHistory(operation: Operation): readonly HistoryOperation[] {
  const { kind, outcome, value, expected, result, invokedAt, returnedAt, takenAt } = operation;
  if (outcome === 'done') {
    const told = kind === 'read' ? result : result === WRITTEN;
    return [{ kind, value, expected, result: told, invokedAt, returnedAt }];
  }
  // Its client knows nothing, but the members do: whoever asks after this time must see it. Without
  // this, histories with many lost answers would take too long to decide.
  if (kind === 'read' || takenAt === Number.POSITIVE_INFINITY) return [];
  return [{ kind, value, expected, result: true, invokedAt, returnedAt: takenAt }];
}
