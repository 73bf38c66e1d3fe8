import type { LogLevel, Message, RaftError, RawNode } from '../index.js';
import type { CoreStorage } from './core-storage.js';
import type { ResolvedOptions } from './options.js';

/** What the parts of one running member share. */
export interface MemberContext {
  readonly options: ResolvedOptions;
  readonly raw: RawNode;
  /** The stored part of the log as the core reads it; follows the log store. */
  readonly storage: CoreStorage;
  /** False after a failure or at the end of `stop`; nothing may be started or sent any more. */
  readonly isOpen: () => boolean;
  /** False from the beginning of `stop` on; what was taken in before is finished. */
  readonly isAccepting: () => boolean;
  /** Schedules one round of input and Ready. */
  readonly wake: () => void;
  /** Calls the core; an error other than a refusal ends the member. */
  readonly guarded: (f: () => void) => void;
  /** Gives a local response to the core. */
  readonly stepLocal: (message: Message) => void;
  /** Ends the member for good. The first error counts. */
  readonly fail: (error: RaftError) => void;
  /** Calls an observer of the host, which must not be able to end the member. */
  readonly notify: (observer: () => void) => void;
  readonly log: (level: LogLevel, text: () => string) => void;
}
