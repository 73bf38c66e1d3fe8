import { Coverage } from '../coverage.js';
import type { SimFailure } from '../failure.js';
import type { SimStateMachine } from '../machine.js';
import type { SimParameters } from '../parameters.js';
import { ListedActions } from '../plan.js';
import type { Scenario } from '../shrink.js';
import { asSimFailure, Simulation, START } from '../simulation.js';
import { ScriptJournal } from './journal.js';
import { PayloadNames } from './payload-names.js';
import { isLimit, nodeOptions, scriptOf } from './script-text.js';

/** Somebody who is no member, and asks for a vote that nobody gives. */
const STRANGER = 99;

/** A run as a script of the conformance format, or why it is none. */
export type ScriptResult =
  | { readonly script: string; readonly misfit?: undefined }
  | { readonly script?: undefined; readonly misfit: string };

/**
 * Writes a run in bare mode as a script in the conformance format, with the outputs that this library
 * has: for a run that fails, those with the mistake. Whoever keeps it replays it once the mistake is
 * mended, and reads what has changed.
 *
 * What does not fit: leases and other things that depend on the number of ticks, torn writes, input
 * while a synchronous write is under way, late answers of the storage, snapshots that are older than the state they are of.
 *
 * @param scenario best a small one, see `shrink`
 * @param createMachine as in the run
 */
export function writeScript(
  scenario: Scenario,
  createMachine?: () => SimStateMachine,
): ScriptResult {
  const { seed, parameters, plan } = scenario;
  const journal = new ScriptJournal(new PayloadNames(countsSizes(parameters)));
  if (parameters.checkQuorum || parameters.leaseReads) {
    journal.refuse('leases count ticks, and the format has its own (checkQuorum, leaseReads)');
  }
  if (parameters.asyncStorageWrites && parameters.answerMicrosSpread > 0) {
    journal.refuse('answers of the storage are late (answerMicrosSpread)');
  }
  found(journal, parameters);
  const actions = new ListedActions(plan);
  const coverage = new Coverage();
  const run = new Simulation({ seed, parameters, actions, coverage, createMachine, journal });
  let failure: SimFailure | undefined;
  try {
    run.begin();
    while (journal.misfit === undefined && run.step());
  } catch (error) {
    failure = asSimFailure(error);
  }
  const { misfit } = journal;
  if (misfit !== undefined) return { misfit };
  const title = failure === undefined ? 'all invariants hold' : failure.message;
  return { script: scriptOf([`Seed ${seed}: ${title}`], journal.blocks) };
}

function countsSizes(parameters: SimParameters): boolean {
  const { maxSizePerMsg, maxCommittedSizePerReady } = parameters;
  const { maxUncommittedEntriesSize, maxInflightBytes } = parameters;
  const counted = [maxCommittedSizePerReady, maxUncommittedEntriesSize, maxInflightBytes];
  return counted.some(isLimit) || (maxSizePerMsg > 0 && isLimit(maxSizePerMsg));
}

/** The first members, in term 1: scripts begin before the first term, runs in it. */
function found(journal: ScriptJournal, parameters: SimParameters): void {
  const { voters, learners } = parameters;
  const ids = Array.from({ length: voters + learners }, (_, i) => i + 1);
  const list = (name: string, some: readonly number[]): string =>
    some.length === 0 ? '' : ` ${name}=(${some.join(',')})`;
  const who = list('voters', ids.slice(0, voters)) + list('learners', ids.slice(voters));
  const options = nodeOptions(parameters);
  journal.command('log-level none');
  journal.command(`add-nodes ${ids.length}${who} index=${START.index} ${options}`);
  journal.command(
    'inject',
    ids.map((id) => `${STRANGER}->${id} MsgVote Term:${START.term} Log:0/0`),
  );
  journal.command(`stabilize ${ids.join(' ')}`);
  journal.command('log-level error');
}
