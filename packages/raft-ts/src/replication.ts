import type { RaftCore } from './core.js';
import { draft, NO_ENTRIES } from './messages.js';
import type { NodeId } from './numbers.js';
import type { Progress } from './progress.js';
import { encodePosition } from './read-only.js';
import { describeProgress } from './describe-config.js';
import { hex } from './reporter.js';
import { payloadsSize } from './sizes.js';
import type { Entry } from './types.js';

/**
 * Sends a follower what it lacks, if it may be sent anything.
 *
 * @param to a follower
 * @param isEmptyWanted whether to send an append without entries, for its commit index
 * @returns whether something was sent
 */
export function maybeSendAppend(core: RaftCore, to: NodeId, isEmptyWanted: boolean): boolean {
  const progress = core.tracker.progress.get(to);
  if (progress === undefined || progress.paused) return false;
  const { log } = core;
  const previous = progress.next - 1;
  const previousTerm = log.term(previous);
  if (typeof previousTerm === 'string') return maybeSendSnapshot(core, to, progress);

  // With a full window only empty appends go out: if all of the window was lost, their answers are
  // what makes the leader notice.
  const isThrottled = progress.state === 'StateReplicate' && progress.inflights.full;
  const entries = isThrottled
    ? NO_ENTRIES
    : log.entriesFrom(progress.next, core.settings.maxSizePerMsg);
  if (entries === 'compacted') {
    return isEmptyWanted && maybeSendSnapshot(core, to, progress);
  }
  if (entries.length === 0 && !isEmptyWanted) return false;

  const message = draft('MsgApp', to);
  message.index = previous;
  message.logTerm = previousTerm;
  message.entries = entries;
  message.commit = log.committed;
  core.send(message);
  progress.sentEntries(entries.length, payloadsSize(entries));
  progress.sentCommit(log.committed);
  return true;
}

function maybeSendSnapshot(core: RaftCore, to: NodeId, progress: Progress): boolean {
  const isDebug = core.wants('DEBUG');
  if (!progress.recentActive) {
    if (isDebug) {
      const text = `ignore sending snapshot to ${hex(to)} since it is not recently active`;
      core.write('DEBUG', text);
    }
    return false;
  }
  const snapshot = core.log.snapshot();
  const { id, log } = core;
  if (snapshot === 'temporarilyUnavailable') {
    if (isDebug) {
      const reason = 'because snapshot is temporarily unavailable';
      core.write('DEBUG', `${hex(id)} failed to send snapshot to ${hex(to)} ${reason}`);
    }
    return false;
  }
  const { index, term } = snapshot.metadata;
  if (index === 0) core.fail('need non-empty snapshot');
  if (isDebug) {
    core.write(
      'DEBUG',
      `${hex(id)} [firstindex: ${log.firstIndex()}, commit: ${log.committed}] sent ` +
        `snapshot[index: ${index}, term: ${term}] to ${hex(to)} [${describeProgress(progress)}]`,
    );
  }
  progress.becomeSnapshot(index);
  if (isDebug) {
    const state = describeProgress(progress);
    core.write('DEBUG', `${hex(id)} paused sending replication messages to ${hex(to)} [${state}]`);
  }
  const message = draft('MsgSnap', to);
  message.snapshot = snapshot;
  core.send(message);
  return true;
}

/** Sends a follower what it lacks, or at least the commit index. */
export function sendAppend(core: RaftCore, to: NodeId): void {
  maybeSendAppend(core, to, true);
}

/** `sendAppend` to all followers. */
export function broadcastAppend(core: RaftCore): void {
  for (const id of core.tracker.ids) if (id !== core.id) maybeSendAppend(core, id, true);
}

/** Sends heartbeats to all followers, which also ask for the confirmation of open reads. */
export function broadcastHeartbeat(core: RaftCore): void {
  const { reads, tracker, log } = core;
  const context = reads.hasOpen ? encodePosition(reads.position) : undefined;
  for (const [id, progress] of tracker.progress) {
    if (id === core.id) continue;
    const message = draft('MsgHeartbeat', id);
    // A follower must not commit what it was not compared with.
    message.commit = Math.min(progress.match, log.committed);
    if (context !== undefined) message.context = context;
    core.send(message);
    progress.sentCommit(message.commit);
  }
}

/** Tells the target of a transfer to campaign at once. */
export function sendTimeoutNow(core: RaftCore, to: NodeId): void {
  core.send(draft('MsgTimeoutNow', to));
}

/**
 * Raises the commit index to what both majorities have stored, if that is of this term: entries of
 * earlier terms are committed only together with one of the own term.
 *
 * @returns whether it changed
 */
export function maybeCommit(core: RaftCore): boolean {
  const index = core.tracker.committed();
  if (!Number.isFinite(index) || !core.log.maybeCommit(index, core.term)) return false;
  traceCommit(core);
  return true;
}

/** Tells checkers that the commit index grew. */
export function traceCommit(core: RaftCore): void {
  const { id, term, log } = core;
  core.settings.trace?.({ kind: 'commit', id, term, index: log.committed });
}

/** Appends entries to the own log; they count for this node once they are durable. */
export function appendOwn(core: RaftCore, entries: readonly Entry[]): void {
  const { id, term } = core;
  core.settings.trace?.({ kind: 'append', id, term, entries });
  core.log.append(entries);
  const answer = draft('MsgAppResp', id);
  answer.index = core.log.lastIndex();
  core.send(answer);
}
