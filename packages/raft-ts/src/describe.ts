import { decodeConfChange } from './codec/conf-change.js';
import { describeConfChange, describeConfState } from './describe-config.js';
import type { Message } from './message-types.js';
import type { NodeId } from './numbers.js';
import { LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, NONE } from './numbers.js';
import { quote } from './quote.js';
import type { Ready } from './ready-types.js';
import { hex } from './reporter.js';
import type { Entry, HardState, Snapshot, SoftState } from './types.js';

function describeTarget(id: NodeId): string {
  if (id === NONE) return 'None';
  if (id === LOCAL_APPEND_THREAD) return 'AppendThread';
  return id === LOCAL_APPLY_THREAD ? 'ApplyThread' : hex(id);
}

/** A hard state, such as `Term:1 Vote:2 Commit:3`. */
export function describeHardState(state: HardState): string {
  const vote = state.vote === NONE ? '' : ` Vote:${state.vote}`;
  return `Term:${state.term}${vote} Commit:${state.commit}`;
}

/** A soft state, such as `Lead:1 State:StateFollower`. */
export function describeSoftState(state: SoftState): string {
  return `Lead:${state.lead} State:${state.raftState}`;
}

/** Place and configuration of a snapshot, without its data. */
export function describeSnapshot(snapshot: Snapshot): string {
  const { index, term, confState } = snapshot.metadata;
  return `Index:${index} Term:${term} ConfState:${describeConfState(confState)}`;
}

/**
 * An entry, such as `1/11 EntryNormal "data"`. The text contains the payload: not for logs of
 * applications whose payloads are secret.
 *
 * @throws RaftCodecError if a configuration change is damaged
 */
export function describeEntry(entry: Entry): string {
  const head = `${entry.term}/${entry.index} ${entry.type}`;
  if (entry.type === 'EntryNormal') return `${head} ${quote(entry.data)}`;
  const changes = describeConfChange(decodeConfChange(entry));
  return changes === '' ? head : `${head} ${changes}`;
}

/** Entries, one on a line, each with a line end. Contains payloads, see `describeEntry`. */
export function describeEntries(entries: readonly Entry[]): string {
  return entries.map((entry) => `${describeEntry(entry)}\n`).join('');
}

/** A message with what it carries. Contains payloads, see `describeEntry`. */
export function describeMessage(message: Message): string {
  return describeIndented(message, '');
}

function describeIndented(message: Message, indent: string): string {
  const { commit, vote, snapshot, responses } = message;
  let text =
    `${indent}${describeTarget(message.from)}->${describeTarget(message.to)} ${message.type} ` +
    `Term:${message.term} Log:${message.logTerm}/${message.index}`;
  if (message.reject) text += ` Rejected (Hint: ${message.rejectHint})`;
  if (commit > 0) text += ` Commit:${commit}`;
  if (vote > 0) text += ` Vote:${vote}`;
  text += describeList(message.entries, indent);
  if (snapshot !== undefined && snapshot.metadata.index > 0) {
    text += `\n${indent}  Snapshot: ${describeSnapshot(snapshot)}`;
  }
  if (responses.length > 0) {
    const lines = responses.map((response) => `\n${describeIndented(response, `${indent}  `)}`);
    text += ` Responses:[${lines.join('')}\n${indent}]`;
  }
  return text;
}

function describeList(entries: readonly Entry[], indent: string): string {
  if (entries.length === 0) return '';
  if (entries.length === 1) return ` Entries:[${describeEntry(entries[0] as Entry)}]`;
  const lines = entries.map((entry) => `\n${indent}  ${describeEntry(entry)}`);
  return ` Entries:[${lines.join('')}\n${indent}]`;
}

/** A Ready with everything in it. Contains payloads, see `describeEntry`. */
export function describeReady(ready: Ready): string {
  const parts: string[] = [];
  if (ready.softState !== undefined) parts.push(`${describeSoftState(ready.softState)}\n`);
  if (ready.hardState !== undefined) {
    parts.push(`HardState ${describeHardState(ready.hardState)}\n`);
  }
  if (ready.readStates.length > 0) {
    const reads = ready.readStates.map((r) => `{${r.index} [${r.requestCtx.join(' ')}]}`);
    parts.push(`ReadStates [${reads.join(' ')}]\n`);
  }
  if (ready.entries.length > 0) parts.push(`Entries:\n${describeEntries(ready.entries)}`);
  if (ready.snapshot !== undefined) parts.push(`Snapshot ${describeSnapshot(ready.snapshot)}\n`);
  if (ready.committedEntries.length > 0) {
    parts.push(`CommittedEntries:\n${describeEntries(ready.committedEntries)}`);
  }
  if (ready.messages.length > 0) {
    const lines = ready.messages.map((message) => `${describeMessage(message)}\n`);
    parts.push(`Messages:\n${lines.join('')}`);
  }
  if (parts.length === 0) return '<empty Ready>';
  return `Ready MustSync=${ready.mustSync}:\n${parts.join('')}`;
}
