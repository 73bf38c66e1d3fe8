import type { Entry, Index, NodeId, Term, TraceEvent } from '../../src/index.js';
import { text } from './bytes.js';

/** Checks, with every transition of every node, what Raft promises. */
export class Safety {
  readonly #leaders = new Map<Term, NodeId>();
  readonly #entries = new Map<string, string>();
  readonly #applied = new Map<Index, string>();
  readonly #configs = new Map<Index, string>();
  /** How often each kind of event was seen; a test that checks nothing would show here. */
  readonly seen = { leaders: 0, appends: 0, applied: 0 };

  readonly trace = (event: TraceEvent): void => {
    if (event.kind === 'role' && event.role === 'StateLeader') this.#onLeader(event);
    if (event.kind === 'append') event.entries.forEach((entry) => this.#onAppend(entry));
  };

  #onLeader({ term, id }: { readonly term: Term; readonly id: NodeId }): void {
    this.seen.leaders++;
    const other = this.#leaders.get(term);
    if (other !== undefined) throw new Error(`${other} and ${id} both lead term ${term}`);
    this.#leaders.set(term, id);
  }

  #onAppend(entry: Entry): void {
    this.seen.appends++;
    const key = `${entry.term}/${entry.index}`;
    const content = `${entry.type} ${text(entry.data)}`;
    const other = this.#entries.get(key);
    if (other !== undefined && other !== content) {
      throw new Error(`entry ${key} is ${other} as well as ${content}`);
    }
    this.#entries.set(key, content);
  }

  /** An entry was applied somewhere. */
  onApply(id: NodeId, entry: Entry, config: string): void {
    this.seen.applied++;
    const content = `${entry.term} ${entry.type} ${text(entry.data)}`;
    this.#same(this.#applied, entry.index, content, id);
    this.#same(this.#configs, entry.index, config, id);
  }

  #same(known: Map<Index, string>, ...[index, content, id]: [Index, string, NodeId]): void {
    const other = known.get(index);
    if (other !== undefined && other !== content) {
      throw new Error(`${id} applies ${content} at ${index}, others ${other}`);
    }
    known.set(index, content);
  }
}
