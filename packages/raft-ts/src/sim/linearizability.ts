/** What a client did to one register, and what it was told. */
export interface HistoryOperation {
  readonly kind: 'write' | 'swap' | 'read';
  /** Written value; ignored for reads. */
  readonly value: number;
  /** Of a swap: the value it wants to replace. */
  readonly expected: number;
  /** Of a read: the value seen. Of a swap: whether it took effect. Ignored if the end is open. */
  readonly result: number | boolean;
  readonly invokedAt: number;
  /** Infinity: nobody knows whether it took effect, or when. */
  readonly returnedAt: number;
}

/** Outcome of a check; `undecided` if it would take too long. */
export type Verdict = 'linearizable' | 'violated' | 'undecided';

/** Options of a check. */
export interface LinearizabilityOptions {
  /** Value of the register at the start, default 0. */
  readonly initial?: number;
  /** Steps before it is given up, default 200,000. */
  readonly stepsMax?: number;
}

/** A call or a return in the list of what is still to be explained. */
interface Node {
  readonly id: number;
  /** The return that belongs to a call; undefined in a return. */
  match: Node | undefined;
  before: Node | undefined;
  after: Node | undefined;
}

/**
 * Tells whether the history of one register can be explained by operations that each took effect at
 * one moment between call and return.
 *
 * @param operations in any order; at most a few hundred
 * @source Wing and Gong, "Testing and verifying concurrent objects"; Lowe, "Testing for
 *   linearizability" (states that were tried with the same set of operations are not tried again)
 */
export function checkLinearizable(
  operations: readonly HistoryOperation[],
  { initial = 0, stepsMax = 200_000 }: LinearizabilityOptions = {},
): Verdict {
  return new Search(operations, initial).run(stepsMax);
}

/** The value after an operation, or undefined if it cannot have been told this result. */
function valueAfter(operation: HistoryOperation, value: number): number | undefined {
  const isOpen = operation.returnedAt === Number.POSITIVE_INFINITY;
  switch (operation.kind) {
    case 'write':
      return operation.value;
    case 'read':
      return isOpen || operation.result === value ? value : undefined;
    case 'swap': {
      const takesEffect = value === operation.expected;
      if (!isOpen && takesEffect !== operation.result) return undefined;
      return takesEffect ? operation.value : value;
    }
  }
}

class Search {
  readonly #operations: readonly HistoryOperation[];
  readonly #head: Node = { id: -1, match: undefined, before: undefined, after: undefined };
  readonly #tried = new Set<string>();
  readonly #done: Uint32Array;
  /** The same bits as characters, to make a key of them. */
  readonly #characters: Uint16Array;
  #value: number;
  /** Operations with a return that are not explained yet. */
  #missing = 0;

  constructor(operations: readonly HistoryOperation[], initial: number) {
    this.#operations = operations;
    this.#value = initial;
    this.#done = new Uint32Array(Math.ceil(operations.length / 32));
    this.#characters = new Uint16Array(this.#done.buffer);
    this.#link();
  }

  /** Makes the list of calls and returns, in the order of time; calls first where times are equal. */
  #link(): void {
    const places: { readonly at: number; readonly isReturn: boolean; readonly id: number }[] = [];
    this.#operations.forEach(({ invokedAt, returnedAt }, id) => {
      places.push({ at: invokedAt, isReturn: false, id }, { at: returnedAt, isReturn: true, id });
      if (returnedAt !== Number.POSITIVE_INFINITY) this.#missing++;
    });
    places.sort((a, b) => a.at - b.at || Number(a.isReturn) - Number(b.isReturn) || a.id - b.id);
    const calls: Node[] = [];
    let last = this.#head;
    for (const { id, isReturn } of places) {
      const node: Node = { id, match: undefined, before: last, after: undefined };
      last.after = node;
      last = node;
      if (isReturn) (calls[id] as Node).match = node;
      else calls[id] = node;
    }
  }

  run(stepsMax: number): Verdict {
    const chosen: { readonly node: Node; readonly value: number }[] = [];
    let node = this.#head.after;
    // An operation without an answer is taken only where no answered one goes on: it may well have
    // had no effect, and trying all of them everywhere would double the work for each.
    let isAmongOpen = false;
    for (let steps = 0; this.#missing > 0; steps++) {
      if (steps >= stepsMax) return 'undecided';
      if (node?.match !== undefined) {
        const value = this.#isOpen(node.id) === isAmongOpen ? this.#try(node.id) : undefined;
        if (value === undefined) {
          node = node.after;
          continue;
        }
        chosen.push({ node, value: this.#value });
        this.#value = value;
        this.#lift(node);
        node = this.#head.after;
        isAmongOpen = false;
        continue;
      }
      if (!isAmongOpen) {
        node = this.#head.after;
        isAmongOpen = true;
        continue;
      }
      // A return: its call has to be explained before; something chosen earlier was wrong.
      const last = chosen.pop();
      if (last === undefined) return 'violated';
      this.#value = last.value;
      this.#unlift(last.node);
      node = last.node.after;
      isAmongOpen = this.#isOpen(last.node.id);
    }
    return 'linearizable';
  }

  #isOpen(id: number): boolean {
    return (this.#operations[id] as HistoryOperation).returnedAt === Number.POSITIVE_INFINITY;
  }

  /** The value after taking an operation next; undefined if that cannot be, or was tried. */
  #try(id: number): number | undefined {
    const value = valueAfter(this.#operations[id] as HistoryOperation, this.#value);
    if (value === undefined || (value === this.#value && this.#isOpen(id))) return undefined;
    this.#flip(id);
    const key = `${value} ${String.fromCharCode(...this.#characters)}`;
    const isNew = !this.#tried.has(key);
    if (isNew) this.#tried.add(key);
    else this.#flip(id);
    return isNew ? value : undefined;
  }

  #flip(id: number): void {
    const word = id >>> 5;
    this.#done[word] = (this.#done[word] as number) ^ (1 << (id & 31));
  }

  #lift(call: Node): void {
    unlink(call);
    unlink(call.match as Node);
    this.#note(call.id, -1);
  }

  #unlift(call: Node): void {
    relink(call.match as Node);
    relink(call);
    this.#flip(call.id);
    this.#note(call.id, 1);
  }

  #note(id: number, change: number): void {
    if (!this.#isOpen(id)) this.#missing += change;
  }
}

function unlink(node: Node): void {
  if (node.before !== undefined) node.before.after = node.after;
  if (node.after !== undefined) node.after.before = node.before;
}

function relink(node: Node): void {
  if (node.before !== undefined) node.before.after = node;
  if (node.after !== undefined) node.after.before = node;
}
