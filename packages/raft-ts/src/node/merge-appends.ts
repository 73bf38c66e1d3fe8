import { NONE, RaftInvariantError } from '../index.js';
import type { Entry, HardState, MsgStorageAppend, Snapshot } from '../index.js';
import type { LogBatch } from './types.js';

/**
 * One piece of queued storage work: a message of the core, a snapshot this member took, or the wish
 * to write what waits for company.
 */
export type AppendWork =
  | { readonly kind: 'append'; readonly message: MsgStorageAppend }
  | { readonly kind: 'flush' }
  | { readonly kind: 'ownSnapshot'; readonly snapshot: Snapshot };

/** The hard state a storage message carries; undefined: unchanged. */
export function hardStateOf(message: MsgStorageAppend): HardState | undefined {
  const { term, vote, commit } = message;
  return term === 0 && vote === NONE && commit === 0 ? undefined : { term, vote, commit };
}

/**
 * Merges queued storage work into one batch with the same effect as writing one after the other.
 *
 * Later hard states and snapshots replace earlier ones, later entries replace earlier ones from
 * their first index on, and a received snapshot makes all entries before it in the queue void.
 *
 * @throws RaftInvariantError when entries of consecutive messages leave a gap
 */
export function mergeAppends(works: readonly AppendWork[]): LogBatch {
  let entries: Entry[] = [];
  let hardState: HardState | undefined;
  let snapshot: Snapshot | undefined;
  let ownSnapshot: Snapshot | undefined;
  for (const work of works) {
    if (work.kind === 'flush') continue;
    if (work.kind === 'ownSnapshot') {
      ownSnapshot = work.snapshot;
      continue;
    }
    const { message } = work;
    if (message.snapshot !== undefined) {
      snapshot = message.snapshot;
      ownSnapshot = undefined;
      entries = [];
    }
    entries = replaceTail(entries, message.entries);
    hardState = hardStateOf(message) ?? hardState;
  }
  return {
    entries,
    ...(hardState === undefined ? {} : { hardState }),
    ...(snapshot === undefined ? {} : { snapshot }),
    ...(ownSnapshot === undefined ? {} : { ownSnapshot }),
  };
}

/** Whether writing the batch would change nothing. */
export function isEmptyBatch(batch: LogBatch): boolean {
  return (
    batch.entries.length === 0 &&
    batch.hardState === undefined &&
    batch.snapshot === undefined &&
    batch.ownSnapshot === undefined
  );
}

/** Whether the batch has a hard state and nothing else. */
export function isHardStateOnly(batch: LogBatch): boolean {
  const { hardState, ...rest } = batch;
  return hardState !== undefined && isEmptyBatch(rest);
}

/** May change `entries` and returns it, or a new list. */
function replaceTail(entries: Entry[], added: readonly Entry[]): Entry[] {
  const first = added[0];
  if (first === undefined) return entries;
  const base = entries[0];
  if (base === undefined || first.index <= base.index) return [...added];
  const keep = first.index - base.index;
  if (keep > entries.length) {
    throw new RaftInvariantError(`gap in queued entries before index ${first.index}`);
  }
  entries.length = keep;
  for (const entry of added) entries.push(entry);
  return entries;
}
