import type { RaftCore } from './core.js';
import { describeConfState } from './describe-config.js';
import { restoreConfState } from './membership.js';
import type { Message } from './message-types.js';
import { draft } from './messages.js';
import { NONE } from './numbers.js';
import { traceCommit } from './replication.js';
import { hex } from './reporter.js';
import { becomeFollower } from './roles.js';
import type { Snapshot } from './types.js';

/** Handles a snapshot of the leader: the answer says up to where the log agrees with it now. */
export function handleSnapshot(core: RaftCore, message: Message): void {
  const { snapshot } = message;
  const isRestored = snapshot !== undefined && restore(core, snapshot);
  const { log } = core;
  if (core.wants('INFO')) {
    const { index, term } = snapshot?.metadata ?? { index: 0, term: 0 };
    const what = `${isRestored ? 'restored' : 'ignored'} snapshot`;
    const where = `[index: ${index}, term: ${term}]`;
    core.write('INFO', `${hex(core.id)} [commit: ${log.committed}] ${what} ${where}`);
  }
  const answer = draft('MsgAppResp', message.from);
  answer.index = isRestored ? log.lastIndex() : log.committed;
  core.send(answer);
}

/** Replaces log and configuration by a snapshot, if it is new, needed and concerns this node. */
function restore(core: RaftCore, snapshot: Snapshot): boolean {
  const { index, term, confState } = snapshot.metadata;
  const { log } = core;
  if (index <= log.committed) return false;
  const id = hex(core.id);
  if (core.role !== 'StateFollower') {
    if (core.wants('WARN')) {
      core.write('WARN', `${id} attempted to restore snapshot as leader; should never happen`);
    }
    becomeFollower(core, core.term + 1, NONE);
    return false;
  }
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
