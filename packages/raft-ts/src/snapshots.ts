import type { RaftCore } from './core.js';
import { describeConfState } from './describe-config.js';
import { restoreConfState } from './membership.js';
import type { MsgSnap } from './message-types.js';
import { draft } from './messages.js';
import { traceCommit } from './replication.js';
import { hex } from './reporter.js';
import type { Snapshot } from './types.js';

/** Handles a snapshot of the leader: the answer says up to where the log agrees with it now. */
export function handleSnapshot(core: RaftCore, message: MsgSnap): void {
  const { snapshot } = message;
  const isRestored = restore(core, snapshot);
  const { log } = core;
  if (core.wants('INFO')) {
    const { index, term } = snapshot.metadata;
    const what = `${isRestored ? 'restored' : 'ignored'} snapshot`;
    const where = `[index: ${index}, term: ${term}]`;
    core.write('INFO', `${hex(core.id)} [commit: ${log.committed}] ${what} ${where}`);
  }
  const answer = draft('MsgAppResp', message.from);
  answer.index = isRestored ? log.lastIndex() : log.committed;
  core.send(answer);
}

/** Replaces log and configuration of a follower, if the snapshot is new, needed and concerns it. */
function restore(core: RaftCore, snapshot: Snapshot): boolean {
  const { index, term, confState } = snapshot.metadata;
  const { log } = core;
  if (index <= log.committed) return false;
  const id = hex(core.id);
  // Whoever is only to become a learner still is a voter of the outgoing majority.
  const { voters, votersOutgoing, learners } = confState;
  if (![voters, votersOutgoing, learners].some((ids) => ids.includes(core.id))) {
    if (core.wants('WARN')) {
      const problem = `it is not in the ConfState ${describeConfState(confState)}`;
      const text = `attempted to restore snapshot but ${problem}; should never happen`;
      core.write('WARN', `${id} ${text}`);
    }
    return false;
  }
  if (log.matches(index, term)) {
    if (core.wants('INFO')) {
      const what = `fast-forwarded commit to snapshot [index: ${index}, term: ${term}]`;
      core.write('INFO', `${describeLog(core)} ${what}`);
    }
    log.commitTo(index);
    traceCommit(core);
    return false;
  }
  log.restore(snapshot);
  traceCommit(core);
  restoreConfState(core, confState);
  if (core.wants('INFO')) {
    const what = `restored snapshot [index: ${index}, term: ${term}]`;
    core.write('INFO', `${describeLog(core)} ${what}`);
  }
  return true;
}

function describeLog(core: RaftCore): string {
  const { log } = core;
  const last = log.lastId();
  const marks = `[commit: ${log.committed}, lastindex: ${last.index}, lastterm: ${last.term}]`;
  return `${hex(core.id)} ${marks}`;
}
