import type { Logger, LogLevel } from './config.js';
import { RaftInvariantError } from './errors.js';

/** Writes log lines, if anybody wants them, and ends the node on violated invariants. */
export class Reporter {
  readonly #logger: Logger | undefined;

  /** @param logger undefined: lines go nowhere */
  constructor(logger: Logger | undefined) {
    this.#logger = logger;
  }

  /** Whether lines of this level are wanted; asked before a text is put together. */
  wants(level: LogLevel): boolean {
    return this.#logger !== undefined && this.#logger.enabled(level);
  }

  /** Writes a line. Callers ask `wants` first. */
  write(level: LogLevel, text: string): void {
    this.#logger?.log(level, text);
  }

  /**
   * Reports a violated invariant.
   *
   * @throws RaftInvariantError always
   */
  fail(text: string): never {
    if (this.wants('FATAL')) this.write('FATAL', text);
    throw new RaftInvariantError(text);
  }
}

/** A node id as log lines show it. */
export function hex(id: number): string {
  return id.toString(16);
}
