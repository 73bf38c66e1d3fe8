import type { RaftCore } from '../core.js';
import type { MemoryStorage } from '../memory-storage.js';
import type { Index, NodeId } from '../numbers.js';
import type { ConfState, Entry } from '../types.js';
import type { SimDisk } from './disk.js';
import type { SimStateMachine } from './machine.js';
import type { Prng } from './prng.js';
import type { World } from './world.js';

/** The member whose snapshots are kept. */
interface Keeper {
  readonly id: NodeId;
  readonly core: RaftCore;
  readonly disk: SimDisk;
  readonly machine: SimStateMachine;
  readonly applied: Index;
  readonly confState: ConfState;
}

/** What a host does with snapshots in bare mode: takes them, hands them out, and discards logs. */
export class SnapshotKeeper {
  readonly #member: Keeper;
  readonly #world: World;
  readonly #prng: Prng;

  /**
   * @param member whose snapshots they are
   * @param world where it lives
   * @param prng of the member
   */
  constructor(member: Keeper, world: World, prng: Prng) {
    this.#member = member;
    this.#world = world;
    this.#prng = prng;
  }

  /** Takes a snapshot, or not, and discards a part of the log. */
  compact(y: number, z: number): void {
    if (y % 4 !== 0) this.#save();
    const { memory } = this.#member.disk.storage;
    const first = memory.firstIndex();
    const last = memory.snapshot().metadata.index;
    if (last < first) return;
    const index = y % 3 === 0 ? last : first + (z % (last - first + 1));
    memory.compact(index);
    this.#world.journal?.compact(this.#member.id, index, entriesOf(memory));
  }

  /** A leader needs a snapshot for somebody. @returns false: there is none at hand */
  offer(): boolean {
    const isThere = this.#find();
    const { index } = this.#member.disk.storage.memory.snapshot().metadata;
    if (!isThere || index !== this.#member.applied) {
      this.#world.journal?.refuse('the snapshot of a leader is not the latest one');
    }
    return isThere;
  }

  /** A follower would refuse a snapshot that does not know it, so that a new one is made. */
  #find(): boolean {
    const { parameters, isCalm } = this.#world;
    if (!isCalm && this.#prng.chance(parameters.snapshotAbsence)) return false;
    if (!isCalm && this.#prng.chance(parameters.snapshotStaleness)) return true;
    if (this.#knowsAll()) return true;
    return this.#save() && this.#knowsAll();
  }

  /** Keeps a snapshot of the present state. @returns false if there is one already */
  #save(): boolean {
    const { applied: index, confState, disk, machine } = this.#member;
    const term = disk.term(index);
    if (term === undefined) return false;
    return disk.saveSnapshot({ data: machine.snapshot(), metadata: { index, term, confState } });
  }

  #knowsAll(): boolean {
    const { disk, core } = this.#member;
    const { confState } = disk.storage.memory.snapshot().metadata;
    const { voters, votersOutgoing, learners } = confState;
    return core.tracker.ids.every(
      (id) => voters.includes(id) || votersOutgoing.includes(id) || learners.includes(id),
    );
  }
}

function entriesOf(memory: MemoryStorage): readonly Entry[] {
  const [first, last] = [memory.firstIndex(), memory.lastIndex()];
  const entries = first > last ? [] : memory.entries(first, last + 1, Number.POSITIVE_INFINITY);
  return typeof entries === 'string' ? [] : entries;
}
