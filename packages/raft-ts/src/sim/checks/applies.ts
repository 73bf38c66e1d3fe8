import { decodeConfChange } from '../../codec/conf-change.js';
import { describeConfState } from '../../describe-config.js';
import type { Index } from '../../numbers.js';
import type { ConfState, Entry, Snapshot } from '../../types.js';
import { SimFailure } from '../failure.js';
import type { Subject } from '../subject.js';
import { changed } from './configurations.js';
import type { Logs } from './logs.js';

/**
 * Invariants 4 and 7: entries are applied without gaps, once per life, as they were committed, and
 * lead to the same state and the same configuration everywhere.
 */
export class Applies {
  readonly #logs: Logs;
  readonly #checksums: (number | undefined)[] = [];
  /** Of the member that is applying an entry. */
  #before!: ConfState;
  readonly #configs: (string | undefined)[] = [];
  /** The last configuration by object, to describe each one once. */
  readonly #described = new WeakMap<ConfState, string>();

  /** @param logs knows what is committed */
  constructor(logs: Logs) {
    this.#logs = logs;
  }

  /** A member has started from a snapshot. */
  started(member: Subject): void {
    if (member.applied > 0) this.#checkState(member, member.applied);
  }

  /** A member is about to apply an entry. */
  applying({ id, applied, confState, core, disk }: Subject, { index, term }: Entry): void {
    this.#before = confState;
    const isUnstable = (disk.term(index) ?? term) !== term || index > disk.storage.lastIndex();
    if (core.settings.asyncStorageWrites && isUnstable) {
      const text = `${id} applies ${term}/${index}, which is not durable`;
      throw new SimFailure('6 durable before applied', text);
    }
    if (index !== applied + 1) {
      throw new SimFailure('4 applied once', `${id} applies ${index} after ${applied}`);
    }
    if (index > this.#logs.commit || this.#logs.termOf(index) !== term) {
      const text = `${id} applies ${term}/${index}, committed is ${this.#logs.termOf(index)}`;
      throw new SimFailure('4 applied once', text);
    }
  }

  /** A member has applied an entry. */
  applied(member: Subject, entry: Entry): void {
    const { index } = entry;
    if (entry.type !== 'EntryNormal' && this.#configs[index] === undefined) {
      this.#checkChange(member, entry);
    }
    this.#checkState(member, index);
  }

  /** The first one that applies a change: the others are compared with it. */
  #checkChange({ id, confState }: Subject, entry: Entry): void {
    const expected = describeConfState(changed(this.#before, decodeConfChange(entry)));
    const actual = describeConfState(confState);
    if (actual === expected) return;
    const text = `${id} has ${actual} at ${entry.index}, decided was ${expected}`;
    throw new SimFailure('7 decided configuration', text);
  }

  /** A member has replaced its state by a snapshot. */
  restored(member: Subject, { metadata }: Snapshot): void {
    this.#checkState(member, metadata.index);
    const { voters, votersOutgoing, learners } = metadata.confState;
    if (![voters, votersOutgoing, learners].some((ids) => ids.includes(member.id))) {
      const text = `${member.id} restores a snapshot that does not know it`;
      throw new SimFailure('7 own configuration', text);
    }
    const { term, index } = metadata;
    if (this.#logs.termOf(index) === term) return;
    const text = `${member.id} restores ${term}/${index}, committed is ${this.#logs.termOf(index)}`;
    throw new SimFailure('4 applied once', text);
  }

  #checkState({ id, machine, confState }: Subject, index: Index): void {
    const checksum = machine.checksum();
    const other = this.#checksums[index];
    if (other === undefined) this.#checksums[index] = checksum;
    else if (other !== checksum) {
      throw new SimFailure('4 same state', `the state of ${id} at ${index} differs from others`);
    }
    let config = this.#described.get(confState);
    if (config === undefined) {
      config = describeConfState(confState);
      this.#described.set(confState, config);
    }
    const otherConfig = this.#configs[index];
    if (otherConfig === undefined) this.#configs[index] = config;
    else if (otherConfig !== config) {
      const text = `${id} has ${config} at ${index}, others ${otherConfig}`;
      throw new SimFailure('7 same configuration', text);
    }
  }
}
