import type { RaftCore } from './core.js';
import { describeProgress } from './describe-config.js';
import type { Message } from './message-types.js';
import { NONE } from './numbers.js';
import type { Progress } from './progress.js';
import { proposeAsLeader } from './proposals.js';
import { handleReadConfirmation, handleReadIndex, releasePostponedReads } from './reads.js';
import {
  broadcastAppend,
  maybeCommit,
  maybeSendAppend,
  sendAppend,
  sendTimeoutNow,
} from './replication.js';
import { hex } from './reporter.js';
import { becomeFollower } from './roles.js';
import { handleTransfer } from './transfer.js';

/** Handles a message of the present term as a leader. */
export function stepLeader(core: RaftCore, message: Message): void {
  switch (message.type) {
    case 'MsgProp':
      proposeAsLeader(core, message.entries);
      return;
    case 'MsgReadIndex':
      handleReadIndex(core, message);
      return;
    case 'MsgForgetLeader':
      return;
    default:
  }
  const progress = core.tracker.progress.get(message.from);
  if (progress === undefined) {
    if (core.wants('DEBUG')) {
      const text = `${hex(core.id)} no progress available for ${hex(message.from)}`;
      core.write('DEBUG', text);
    }
    return;
  }
  stepFromMember(core, message, progress);
}

function stepFromMember(core: RaftCore, message: Message, progress: Progress): void {
  switch (message.type) {
    case 'MsgAppResp':
      progress.recentActive = true;
      if (message.reject) handleRejection(core, message, progress);
      else handleAcknowledgment(core, message, progress);
      break;
    case 'MsgHeartbeatResp':
      handleHeartbeatAnswer(core, message, progress);
      break;
    case 'MsgSnapStatus':
      handleSnapshotReport(core, message, progress);
      break;
    case 'MsgUnreachable':
      // An append is probably lost, and with it the base of all that would follow.
      if (progress.state === 'StateReplicate') progress.becomeProbe();
      if (core.wants('DEBUG')) {
        const whom = `to ${hex(message.from)} because it is unreachable`;
        writeAbout(core, `failed to send message ${whom}`, progress);
      }
      break;
    case 'MsgTransferLeader':
      handleTransfer(core, message.from, progress);
      break;
    default:
  }
}

function handleRejection(core: RaftCore, message: Message, progress: Progress): void {
  const { from, index, logTerm, rejectHint } = message;
  if (core.wants('DEBUG')) {
    const hint = `(index ${rejectHint}, term ${logTerm})`;
    const text = `received MsgAppResp(rejected, hint: ${hint}) from ${hex(from)} for index ${index}`;
    core.write('DEBUG', `${hex(core.id)} ${text}`);
  }
  // Places where the own term is later than the follower's cannot agree either; passing over them
  // takes one probe per term instead of one per entry.
  const hint = logTerm > 0 ? core.log.findConflictByTerm(rejectHint, logTerm).index : rejectHint;
  if (!progress.maybeDecreaseTo(index, hint)) return;
  if (core.wants('DEBUG')) {
    const state = describeProgress(progress);
    const text = `decreased progress of ${hex(from)} to [${state}]`;
    core.write('DEBUG', `${hex(core.id)} ${text}`);
  }
  if (progress.state === 'StateReplicate') progress.becomeProbe();
  sendAppend(core, from);
}

function handleAcknowledgment(core: RaftCore, message: Message, progress: Progress): void {
  const { from, index } = message;
  const isNew = progress.maybeUpdate(index);
  // The answer to a probe tells that the follower is reachable, even if nothing is new.
  const isProbeAnswer = progress.match === index && progress.state === 'StateProbe';
  if (!isNew && !isProbeAnswer) return;

  if (progress.state === 'StateProbe') {
    progress.becomeReplicate();
  } else if (progress.state === 'StateReplicate') {
    progress.inflights.freeTo(index);
  } else if (progress.match + 1 >= core.log.firstIndex()) {
    // Whatever snapshot it was, the log can take over from here.
    if (core.wants('DEBUG')) {
      const resumed = `resumed sending replication messages to ${hex(from)}`;
      writeAbout(core, `recovered from needing snapshot, ${resumed}`, progress);
    }
    progress.becomeProbe();
    progress.becomeReplicate();
  }

  if (maybeCommit(core)) {
    releasePostponedReads(core);
    broadcastAppend(core);
  } else if (from !== core.id && progress.canBumpCommit(core.log.committed)) {
    sendAppend(core, from);
  }
  if (from !== core.id) {
    // The window may have room for several messages now.
    while (maybeSendAppend(core, from, false));
  }
  if (from === core.leadTransferee && progress.match === core.log.lastIndex()) {
    if (core.wants('INFO')) {
      const text = `sent MsgTimeoutNow to ${hex(from)} after received MsgAppResp`;
      core.write('INFO', `${hex(core.id)} ${text}`);
    }
    sendTimeoutNow(core, from);
  }
}

function handleHeartbeatAnswer(core: RaftCore, message: Message, progress: Progress): void {
  progress.recentActive = true;
  progress.isFlowPaused = false;
  // With a full window this sends an empty append, whose answer shows whether the window was lost.
  // A follower in probe state that is up to date gets one, too, to leave that state.
  if (progress.match < core.log.lastIndex() || progress.state === 'StateProbe') {
    sendAppend(core, message.from);
  }
  handleReadConfirmation(core, message);
}

function handleSnapshotReport(core: RaftCore, message: Message, progress: Progress): void {
  if (progress.state !== 'StateSnapshot') return;
  // After a failure the snapshot must not count, or probing would start behind it.
  if (message.reject) progress.pendingSnapshot = 0;
  progress.becomeProbe();
  if (core.wants('DEBUG')) {
    const outcome = message.reject ? 'failed' : 'succeeded';
    const resumed = `resumed sending replication messages to ${hex(message.from)}`;
    writeAbout(core, `snapshot ${outcome}, ${resumed}`, progress);
  }
  // The next append waits: for the answer to the snapshot, or for the next heartbeat round.
  progress.isFlowPaused = true;
}

function writeAbout(core: RaftCore, whom: string, progress: Progress): void {
  core.write('DEBUG', `${hex(core.id)} ${whom} [${describeProgress(progress)}]`);
}

/** Steps down unless a quorum was heard of since the last check. */
export function checkQuorumActive(core: RaftCore): void {
  const { tracker } = core;
  if (!tracker.isQuorumActive()) {
    if (core.wants('WARN')) {
      const text = 'stepped down to follower since quorum is not active';
      core.write('WARN', `${hex(core.id)} ${text}`);
    }
    becomeFollower(core, core.term, NONE);
  }
  for (const [id, progress] of tracker.progress) {
    if (id !== core.id) progress.recentActive = false;
  }
}
