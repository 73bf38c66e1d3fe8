import type { Socket } from 'node:net';
import { toConclaveError } from '@conclave/kernel';
import type { Clock, ConclaveError, TimerHandle, Timers } from '@conclave/kernel';
import { Bucket } from './bucket.js';
import * as limits from './limits.js';
import type { Peer } from './peer.js';

/** Both ends of a connection; unique among the open ones of a listener. */
export interface Endpoints {
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

/** The name of a connection among those of its listener; `undefined` once it is closed. */
export function connectionKey(ends: Endpoints): string | undefined {
  const { localAddress, localPort, remoteAddress, remotePort } = ends;
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  return `${remoteAddress} ${remotePort} ${localAddress ?? ''} ${localPort ?? 0}`;
}

/** A call that was admitted and has not ended. */
export interface OpenCall {
  /** It lasts as long as both sides like. */
  readonly isStream: boolean;
  /** Throws when the call may not go on. */
  recheck(): void;
  /** Ends the call with this error, for the peer and for the handler. */
  end(error: ConclaveError): void;
}

/** What all connections of a listener live by. */
export interface ConnectionRules {
  readonly clock: Clock;
  readonly timers: Timers;
  /** False for a peer whose certificate does not count any more. */
  readonly isAccepted: (peer: Peer) => boolean;
}

/** A connection with a known peer, and its open calls. */
export class Connection {
  readonly peer: Peer;
  readonly #socket: Socket;
  readonly #timers: Timers;
  readonly #calls = new Set<OpenCall>();
  #firstCall: TimerHandle | undefined;
  #farewell: TimerHandle | undefined;
  readonly #ending = new Map<OpenCall, TimerHandle>();

  readonly #isAccepted: (peer: Peer) => boolean;
  #wasAccepted: boolean;

  readonly #clock: Clock;
  readonly #cancels: Bucket;
  readonly #isWorker: boolean;
  #streamCount = 0;
  #refusalCount = 0;

  constructor(peer: Peer, socket: Socket, { clock, timers, isAccepted }: ConnectionRules) {
    this.#clock = clock;
    this.#isWorker = peer.kind === 'certificate' && peer.identity.role === 'worker';
    const rate = this.#isWorker ? limits.WORKER_CANCEL_RATE : limits.CANCEL_RATE;
    this.#cancels = new Bucket(rate, clock.monotonic());
    this.peer = peer;
    this.#isAccepted = isAccepted;
    this.#wasAccepted = isAccepted(peer);
    this.#socket = socket;
    this.#timers = timers;
    this.#firstCall = timers.after(limits.FIRST_CALL_MS_MAX, () => socket.destroy());
    socket.once('close', () => {
      this.#firstCall?.cancel();
      this.#farewell?.cancel();
      for (const timer of this.#ending.values()) timer.cancel();
    });
  }

  /** No other stream may begin. HTTP/2 itself counts the streams of all but workers. */
  get isFull(): boolean {
    return this.#isWorker && this.#streamCount >= limits.STREAMS_PER_WORKER_MAX;
  }

  /** A stream has begun; once it is over, `streamClosed` is owed. */
  streamOpened(): void {
    this.#streamCount += 1;
  }

  /** A stream is over on both sides. */
  streamClosed(): void {
    this.#streamCount -= 1;
  }

  /** The first time that a call of this connection was refused: worth a line, unlike the others. */
  isFirstRefusal(): boolean {
    this.#refusalCount += 1;
    return this.#refusalCount === 1;
  }

  opened(call: OpenCall): void {
    this.#firstCall?.cancel();
    this.#firstCall = undefined;
    this.#calls.add(call);
  }

  /** The peer gave a call up. False for one that does little else: the connection has to end. */
  mayCancel(): boolean {
    return this.#cancels.take(this.#clock.monotonic());
  }

  ended(call: OpenCall): void {
    this.#calls.delete(call);
    this.#ending.get(call)?.cancel();
    this.#ending.delete(call);
  }

  /**
   * Cuts the calls that may not go on. A peer that is not accepted any more loses the connection too:
   * at once when it is idle, else when its calls have had time to end. One that never was accepted
   * is told so by the call that it makes, and makes none for longer than the first may take.
   */
  recheck(): void {
    for (const call of this.#calls) {
      try {
        call.recheck();
      } catch (error) {
        this.cut(call, toConclaveError(error));
      }
    }
    const { peer } = this;
    if (this.#isAccepted(peer)) this.#wasAccepted = true;
    else if (this.#wasAccepted) this.#endSoon();
  }

  /** Cuts what would go on for ever. */
  cutStreams(error: ConclaveError): void {
    for (const call of this.#calls) if (call.isStream) this.cut(call, error);
  }

  /** Ends one call with a status; when the peer does not take it, its connection ends too. */
  cut(call: OpenCall, error: ConclaveError): void {
    call.end(error);
    this.expectEnd(call, limits.CUT_GRACE_MS);
  }

  /**
   * A peer that does not read never takes the status of its call, and what is queued for it stays:
   * after `graceMs` the connection goes with it.
   */
  expectEnd(call: OpenCall, graceMs: number): void {
    if (!this.#calls.has(call)) return;
    const timer = this.#timers.after(graceMs, () => {
      this.#ending.delete(call);
      if (this.#calls.has(call)) this.destroy();
    });
    this.#ending.get(call)?.cancel();
    this.#ending.set(call, timer);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #endSoon(): void {
    if (this.#calls.size === 0) this.destroy();
    else this.#farewell ??= this.#timers.after(limits.CUT_GRACE_MS, () => this.destroy());
  }
}
