import type { ErrorCode } from '@conclave/kernel';
import type { Command } from './commands.js';
import type { Journal } from './journal.js';
import type { CommandResult } from './rows.js';
import type { Tables } from './tables.js';

/** What a handler works with: it reads the tables and writes through the journal. */
export interface Scope {
  readonly tables: Tables;
  readonly journal: Journal;
  /** Log index of the entry: the object version of every row that it writes. */
  readonly index: number;
  readonly command: Command;
}

/** The commands of one kind. */
export type CommandOf<Kind extends Command['kind']> = Extract<Command, { kind: Kind }>;

type Values = Extract<CommandResult, { ok: true }>['values'];
type Details = Extract<CommandResult, { ok: false }>['details'];

/** The answer to a command that was carried out. */
export function done(scope: Scope, values: Values = {}): CommandResult {
  return { ok: true, index: scope.index, values };
}

/** The answer to a command that must change nothing. */
export function refused(code: ErrorCode, message: string, details: Details = {}): CommandResult {
  return { ok: false, code, message, details };
}

/** The answer to an update of a row that changed since it was read. */
export function stale(what: string, current: number): CommandResult {
  return refused(
    'CV_VERSION_STALE',
    `${what} changed since it was read: its object version is ${current} now`,
    { current },
  );
}

/** True when the caller read an older row; 0 means that the caller does not mind. */
export function isStale(read: number, current: number): boolean {
  return read !== 0 && read !== current;
}
