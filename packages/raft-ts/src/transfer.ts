import type { RaftCore } from './core.js';
import type { NodeId } from './numbers.js';
import { NONE } from './numbers.js';
import type { Progress } from './progress.js';
import { sendAppend, sendTimeoutNow } from './replication.js';
import { hex } from './reporter.js';

/**
 * Starts to hand over leadership: proposals are refused from now on, until the target is elected or
 * an election timeout has passed.
 */
export function handleTransfer(core: RaftCore, target: NodeId, progress: Progress): void {
  const id = hex(core.id);
  const where = `${id} [term ${core.term}]`;
  if (progress.isLearner) {
    write(core, 'DEBUG', () => `${id} is learner. Ignored transferring leadership`);
    return;
  }
  const previous = core.leadTransferee;
  if (previous === target) {
    const what = `transfer leadership to ${hex(target)} is in progress`;
    const ignored = `ignores request to same node ${hex(target)}`;
    write(core, 'INFO', () => `${where} ${what}, ${ignored}`);
    return;
  }
  if (previous !== NONE) {
    core.leadTransferee = NONE;
    const what = 'abort previous transferring leadership to';
    write(core, 'INFO', () => `${where} ${what} ${hex(previous)}`);
  }
  if (target === core.id) {
    const text = `${id} is already leader. Ignored transferring leadership to self`;
    write(core, 'DEBUG', () => text);
    return;
  }
  write(core, 'INFO', () => `${where} starts to transfer leadership to ${hex(target)}`);
  // The attempt has one election timeout.
  core.electionElapsed = 0;
  core.leadTransferee = target;
  if (progress.match !== core.log.lastIndex()) {
    sendAppend(core, target);
    return;
  }
  sendTimeoutNow(core, target);
  const reason = `as ${hex(target)} already has up-to-date log`;
  write(core, 'INFO', () => `${id} sends MsgTimeoutNow to ${hex(target)} immediately ${reason}`);
}

function write(core: RaftCore, level: 'DEBUG' | 'INFO', text: () => string): void {
  if (core.wants(level)) core.write(level, text());
}
