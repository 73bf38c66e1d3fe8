import type { Config } from './config.js';
import { RaftCore } from './core.js';
import { restoreConfState } from './membership.js';
import { isUint, NONE } from './numbers.js';
import { hex } from './reporter.js';
import { becomeFollower } from './roles.js';
import type { HardState } from './types.js';

/**
 * A node as it comes back from its storage: a follower without a leader.
 *
 * @throws ConfigError
 * @throws RaftInvariantError for a storage that contradicts itself
 */
export function createCore(config: Config): RaftCore {
  const core = new RaftCore(config);
  const { hardState, confState } = config.storage.initialState();
  restoreConfState(core, confState);
  if (hardState !== undefined) loadHardState(core, hardState);
  if (core.settings.applied > 0) core.log.appliedTo(core.settings.applied, 0);
  becomeFollower(core, core.term, NONE);
  if (core.wants('INFO')) core.write('INFO', describeStart(core));
  return core;
}

function loadHardState(core: RaftCore, state: HardState): void {
  const { log } = core;
  const { term, vote, commit } = state;
  if (!isUint(term) || !isUint(vote) || !isUint(commit)) {
    core.fail(`storage answered ${term}, ${vote}, ${commit} for the hard state`);
  }
  if (term === 0 && vote === NONE && commit === 0) return;
  const last = log.lastIndex();
  if (commit < log.committed || commit > last) {
    const range = `[${log.committed}, ${last}]`;
    core.fail(`${hex(core.id)} state.commit ${commit} is out of range ${range}`);
  }
  log.committed = commit;
  core.term = term;
  core.vote = vote;
}

function describeStart(core: RaftCore): string {
  const { log, tracker, term } = core;
  const last = log.lastId();
  const peers = tracker.voterIds.map(hex).join(',');
  return (
    `newRaft ${hex(core.id)} [peers: [${peers}], term: ${term}, commit: ${log.committed}, ` +
    `applied: ${log.applied}, lastindex: ${last.index}, lastterm: ${last.term}]`
  );
}
