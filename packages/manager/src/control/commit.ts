import { ConclaveError, isErrorCode } from '@conclave/kernel';
import type { Command, CommandBase, CommandBody, CommandResult } from '@conclave/state';
import type { CallContext, ControlDependencies } from './dependencies.js';

/** A command that was carried out. */
export type Done = Extract<CommandResult, { ok: true }>;
/** A command that changed nothing. */
export type Refused = Extract<CommandResult, { ok: false }>;

/** What is to be committed for a call. */
export interface Commit {
  readonly call: CallContext;
  readonly request: CommandBase['request'];
  readonly body: CommandBody;
}

/** Commits and answers what apply said, refusals included. */
export async function tryCommit(
  deps: ControlDependencies,
  { call, request, body }: Commit,
): Promise<CommandResult> {
  const command: Command = { atMs: deps.clock.now(), by: call.actor, request, ...body };
  return await deps.propose(command);
}

/**
 * Commits.
 * @throws whatever code apply refused it with
 */
export async function commit(deps: ControlDependencies, what: Commit): Promise<Done> {
  const result = await tryCommit(deps, what);
  if (result.ok) return result;
  throw errorOfRefusal(result);
}

/**
 * For what takes away the result of an earlier try: a late one whose caller has gone would take away
 * what a later one has handed out.
 * @throws CV_CANCELLED
 */
export function demandCaller({ signal }: CallContext): void {
  if (signal?.aborted === true) throw new ConclaveError('CV_CANCELLED', 'the caller has gone');
}

/** The error that a refusal of apply is told as. */
export function errorOfRefusal(refused: Refused): ConclaveError {
  const code = isErrorCode(refused.code) ? refused.code : 'CV_INTERNAL';
  return new ConclaveError(code, refused.message, { details: refused.details });
}

/** A text of the answer of a command; empty when it has none. */
export function textOf(result: Done, key: string): string {
  const value = result.values[key];
  return typeof value === 'string' ? value : '';
}

/** A number of the answer of a command; 0 when it has none. */
export function numberOf(result: Done, key: string): number {
  const value = result.values[key];
  return typeof value === 'number' ? value : 0;
}
