import { MemoryStorage } from '../index.js';
import type { ConfState, HardState, Index, Term } from '../index.js';
import { CoreStorage } from './core-storage.js';
import { DriverError } from './driver-error.js';
import type { LoadedLog, LogStore } from './types.js';

/** What a member starts with. */
export interface StartState {
  readonly storage: CoreStorage;
  readonly isNew: boolean;
  readonly loaded: LoadedLog;
  /** Of the snapshot; 0: there is none. */
  readonly index: Index;
  readonly term: Term;
  readonly confState: ConfState;
  readonly commit: Index;
  readonly applied: Index;
}

const NO_MEMBERS: ConfState = Object.freeze({
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
});

/**
 * Reads the log store and fills the memory in front of it.
 *
 * @throws DriverError STORE_FAILED when the store rejects or what it holds contradicts itself
 */
export async function loadStartState(store: LogStore): Promise<StartState> {
  let loaded: LoadedLog;
  try {
    loaded = await store.load();
  } catch (error) {
    throw new DriverError('STORE_FAILED', 'the log store could not be read', { cause: error });
  }
  const memory = new MemoryStorage();
  const metadata = loaded.snapshot?.metadata;
  if (loaded.snapshot !== undefined) memory.applySnapshot(loaded.snapshot);
  const hardState = completeHardState(loaded);
  if (hardState !== undefined) memory.setHardState(hardState);
  const index = metadata?.index ?? 0;
  const entries = loaded.entries.filter((entry) => entry.index > index);
  if (entries.length > 0) memory.append(entries);
  checkLoaded({ ...loaded, entries, hardState });
  const confState = metadata?.confState ?? NO_MEMBERS;
  return {
    storage: new CoreStorage(memory, confState),
    isNew: loaded.snapshot === undefined && hardState === undefined && entries.length === 0,
    loaded,
    index,
    term: metadata?.term ?? 0,
    confState,
    commit: hardState?.commit ?? 0,
    applied: loaded.appliedIndex ?? 0,
  };
}

/** A snapshot proves its own commit and term; the hard state on disk may be older. */
function completeHardState({ hardState, snapshot }: LoadedLog): HardState | undefined {
  if (snapshot === undefined) return hardState;
  const { index, term } = snapshot.metadata;
  if (hardState === undefined) return { term, vote: 0, commit: index };
  const commit = Math.max(hardState.commit, index);
  // A vote belongs to its term; none is known for a later one.
  if (hardState.term < term) return { term, vote: 0, commit };
  return { ...hardState, commit };
}

function checkLoaded({ hardState, snapshot, entries, appliedIndex }: LoadedLog): void {
  let last = { index: snapshot?.metadata.index ?? 0, term: snapshot?.metadata.term ?? 0 };
  for (const { index, term } of entries) {
    if (index !== last.index + 1) throw damaged(`entry ${index} follows ${last.index}`);
    if (term < last.term) throw damaged(`the term falls at entry ${index}`);
    last = { index, term };
  }
  const commit = hardState?.commit ?? 0;
  if (commit > last.index) throw damaged(`commit index ${commit} after last entry ${last.index}`);
  if (last.term > (hardState?.term ?? 0)) throw damaged('entries are from a later term');
  if ((appliedIndex ?? 0) > commit) throw damaged(`applied index after commit index ${commit}`);
}

function damaged(what: string): DriverError {
  return new DriverError('STORE_FAILED', `the log store is damaged: ${what}`, {
    reason: 'damaged',
  });
}
