import type { Index, NodeId } from '../../numbers.js';
import type { Ready } from '../../ready-types.js';
import type { Entry } from '../../types.js';
import { SimFailure } from '../failure.js';
import type { Subject } from '../subject.js';
import type { SimParameters } from '../parameters.js';

/** Work a member may have open at a time; far above what a run can produce by itself. */
const MEMORY_MAX = 20_000;

/**
 * Invariants 3, 7, 8 and 10, as far as they concern one member at a time: what a leader commits is
 * durable on majorities, its bookkeeping fits to what followers have, and nothing grows.
 */
export class Leaders {
  readonly #members: readonly (Subject | undefined)[];
  readonly #parameters: SimParameters;

  /**
   * @param members by id
   * @param parameters of the run
   */
  constructor(members: readonly (Subject | undefined)[], parameters: SimParameters) {
    this.#members = members;
    this.#parameters = parameters;
  }

  /** Role or term have changed; the values before are still noted in the member. */
  roleChanged({ id, core, seenTerm }: Subject): void {
    if (core.term >= seenTerm) return;
    throw new SimFailure('1 election safety', `${id} goes back from ${seenTerm} to ${core.term}`);
  }

  /** The commit index of a member has changed. */
  committed(member: Subject, before: Index): void {
    const { core, id } = member;
    const { committed } = core.log;
    if (committed < before) {
      throw new SimFailure('3 commit index', `${id} goes back from ${before} to ${committed}`);
    }
    if (core.role !== 'StateLeader') return;
    const term = core.log.term(committed);
    if (term !== core.term) {
      const text = `leader ${id} of term ${core.term} commits an entry of term ${term} by counting`;
      throw new SimFailure('3 commit rule', text);
    }
    for (const voters of core.tracker.config.voters) {
      let count = 0;
      for (const voter of voters) if (this.#has(voter, committed, term)) count++;
      if (voters.size === 0 || count * 2 > voters.size) continue;
      const text = `${id} commits ${committed}, durable on ${count} of ${voters.size}`;
      throw new SimFailure('3 commit rule', text);
    }
  }

  #has(id: NodeId, index: Index, term: number): boolean {
    const disk = this.#members[id]?.disk;
    if (disk === undefined) return false;
    return disk.term(index) === term || index < disk.storage.firstIndex();
  }

  /** A leader has handled some input. */
  stepped(member: Subject): void {
    const { core } = member;
    for (const id of core.tracker.ids) {
      const progress = core.tracker.progress.get(id);
      if (progress === undefined) continue;
      if (progress.match >= progress.next) {
        fail(`${member.id} has match ${progress.match} and next ${progress.next} for ${id}`);
      }
      if (progress.inflights.count > this.#parameters.maxInflightMsgs) {
        fail(`${member.id} has ${progress.inflights.count} appends open to ${id}`);
      }
      const follower = this.#members[id];
      if (follower === undefined || follower.disk.hardState.term > core.term) continue;
      const last = follower.disk.storage.lastIndex();
      if (progress.match > last) {
        fail(`${member.id} takes ${id} to have ${progress.match}, it has ${last}`);
      }
    }
  }

  /** A member has put entries into its log. */
  appended({ id, core }: Subject, entries: readonly Entry[]): void {
    if (core.role !== 'StateLeader') return;
    for (const entry of entries) {
      if (entry.type === 'EntryNormal' || entry.term !== core.term) continue;
      for (let index = core.log.applied + 1; index < entry.index; index++) {
        if (!this.#isChange(core.log.slice(index, index + 1, 1))) continue;
        const text = `${id} appends a change at ${entry.index} while one at ${index} is open`;
        throw new SimFailure('7 one change at a time', text);
      }
    }
  }

  #isChange(entries: readonly Entry[] | 'compacted'): boolean {
    return entries !== 'compacted' && entries[0]?.type !== 'EntryNormal';
  }

  /** A member hands out work. */
  ready({ id, core }: Subject, ready: Ready): void {
    const { messages, readStates } = ready;
    const open = Math.max(
      messages.length,
      readStates.length,
      core.log.unstable.length,
      core.postponedReads.length,
    );
    if (open <= MEMORY_MAX) return;
    throw new SimFailure('10 bounded memory', `${id} has ${open} pieces of work open`);
  }
}

function fail(text: string): never {
  throw new SimFailure('8 progress', text);
}
