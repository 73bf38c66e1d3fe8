import type { StatusName } from '@conclave/kernel';
import type { ListenerKind } from './authorisation.js';

/** How a call ended: `OK`, or the name of its status. */
export type CallOutcome = 'OK' | StatusName;

/** A call that has ended. */
export interface EndedCall {
  /** `/conclave.v1.Service/Method` */
  readonly path: string;
  readonly outcome: CallOutcome;
  /** From its headers to its end. */
  readonly durationMs: number;
  readonly isStream: boolean;
}

/** Gets told what happens, for metrics. Must not throw and must not take long. */
export interface TransportObserver {
  callEnded(call: EndedCall): void;
  /** A connection was closed before it could make a call. */
  connectionRefused(
    listener: ListenerKind,
    reason: 'rate' | 'connections' | 'pending' | 'queue' | 'handshake' | 'identity',
  ): void;
}
