import type { Message, NetworkMessage } from '../message-types.js';
import { decodeMessage, encodeMessage } from '../codec/index.js';
import { message as makeMessage } from '../messages.js';
import type { NodeId } from '../numbers.js';
import type { Coverage } from './coverage.js';
import { EVENT } from './events.js';
import type { SimParameters } from './parameters.js';
import { Prng } from './prng.js';
import type { Micros, Scheduler } from './scheduler.js';

/** Ids are below this. */
export const IDS_MAX = 32;

/** What a network is made of. */
export interface NetworkParts {
  readonly seed: number;
  readonly parameters: SimParameters;
  readonly scheduler: Scheduler;
  readonly coverage: Coverage;
}

/**
 * Paths between all pairs of members: delay, loss, duplication, reordering, capacity, cuts, clogging. Each
 * path has its own stream of random numbers.
 */
export class SimNetwork {
  readonly #parts: NetworkParts;
  readonly #prng: Prng;
  readonly #paths: (Prng | undefined)[] = Array.from({ length: IDS_MAX * IDS_MAX });
  readonly #isCut = new Uint8Array(IDS_MAX * IDS_MAX);
  readonly #cloggedUntil = new Float64Array(IDS_MAX * IDS_MAX);
  readonly #busyUntil = new Float64Array(IDS_MAX * IDS_MAX);
  #isCalm = false;

  /** @param parts what it is made of */
  constructor(parts: NetworkParts) {
    this.#parts = parts;
    this.#prng = new Prng(parts.seed).split('network');
  }

  /** Sends a message: it arrives once, several times, or never. */
  send(message: Message): void {
    const { parameters, scheduler, coverage } = this.#parts;
    const at = message.from * IDS_MAX + message.to;
    const prng = this.#path(at);
    if (this.#isCut[at] === 1) {
      coverage.count('cut');
      this.#drop(message, prng);
      return;
    }
    if (!this.#isCalm && this.#isLost(message, prng)) {
      coverage.count('loss');
      this.#drop(message, prng);
      return;
    }
    const start = this.#startOf(at);
    if (start === undefined) {
      coverage.count('overflow');
      this.#drop(message, prng);
      return;
    }
    const sent = this.#isCalm ? message : this.#clipped(message, prng);
    const copy = parameters.encodesMessages ? overTheWire(sent) : sent;
    scheduler.deliver(start + this.#delay(prng), EVENT.deliver, copy);
    if (!this.#isCalm && prng.chance(parameters.duplication)) {
      coverage.count('duplication');
      scheduler.deliver(start + this.#delay(prng) * 2, EVENT.deliver, copy);
    }
  }

  #isLost({ type, entries }: Message, prng: Prng): boolean {
    const { loss, appendLoss } = this.#parts.parameters;
    if (prng.chance(loss)) return true;
    return type === 'MsgApp' && entries.length > 0 && prng.chance(appendLoss);
  }

  /** An append with fewer entries: its leader could have sent this one instead. */
  #clipped(message: Message, prng: Prng): Message {
    const { length } = message.entries;
    const { clipping } = this.#parts.parameters;
    if (message.type !== 'MsgApp' || length === 0 || !prng.chance(clipping)) return message;
    this.#parts.coverage.count('clipping');
    return makeMessage('MsgApp', {
      ...message,
      entries: message.entries.slice(0, prng.below(length)),
    });
  }

  /** When a path has room for one more message; undefined if too many wait already. */
  #startOf(at: number): Micros | undefined {
    const { parameters, scheduler } = this.#parts;
    const { messageMicros, backlogMicrosMax } = parameters;
    const start = Math.max(scheduler.now, this.#cloggedUntil[at] as number);
    if (messageMicros === 0 || this.#isCalm) return start;
    const free = Math.max(start, this.#busyUntil[at] as number);
    if (free > start + backlogMicrosMax) return undefined;
    this.#busyUntil[at] = free + messageMicros;
    return free;
  }

  #path(at: number): Prng {
    let prng = this.#paths[at];
    if (prng === undefined) {
      prng = this.#prng.split(`path ${at}`);
      this.#paths[at] = prng;
    }
    return prng;
  }

  #delay(prng: Prng): Micros {
    const { parameters, coverage } = this.#parts;
    if (this.#isCalm) return 50 + prng.below(200);
    const delay = parameters.delayMicrosMin + prng.below(parameters.delayMicrosSpread);
    if (!prng.chance(parameters.lateness)) return delay;
    coverage.count('lateness');
    return delay + prng.below(parameters.latenessMicrosMax);
  }

  /** A lost snapshot is always reported, other losses sometimes. */
  #drop(message: Message, prng: Prng): void {
    const { parameters } = this.#parts;
    if (message.type === 'MsgSnap') this.reportSnapshot(message, false);
    else if (prng.chance(parameters.lossReports)) this.#report(message, REPORT.unreachable);
  }

  /** Tells the sender of a snapshot what became of it. */
  reportSnapshot(message: Message, hasArrived: boolean): void {
    this.#report(message, hasArrived ? REPORT.snapshotArrived : REPORT.snapshotLost);
  }

  #report(message: Message, what: number): void {
    const event = this.#parts.scheduler.after(1000, EVENT.report, message.from);
    event.a = message.to;
    event.b = what;
  }

  /** Cuts all paths for which `isCut` says so, and opens all others. */
  partition(isCut: (from: NodeId, to: NodeId) => boolean): void {
    for (let from = 0; from < IDS_MAX; from++) {
      for (let to = 0; to < IDS_MAX; to++) {
        this.#isCut[from * IDS_MAX + to] = isCut(from, to) ? 1 : 0;
      }
    }
  }

  /** Holds back everything on a path until a time. */
  clog(from: NodeId, to: NodeId, until: Micros): void {
    this.#cloggedUntil[from * IDS_MAX + to] = until;
  }

  /** Ends all faults: from now on the network is fast and reliable. */
  calm(): void {
    this.#isCalm = true;
    this.#isCut.fill(0);
    this.#cloggedUntil.fill(0);
  }
}

/** What a sender is told. */
export const REPORT = { unreachable: 0, snapshotLost: 1, snapshotArrived: 2 } as const;

function overTheWire(message: Message): Message {
  return decodeMessage(encodeMessage(message as NetworkMessage));
}
