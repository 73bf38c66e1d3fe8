import { compareNatural } from './natural.js';

/** Names per leaf: small enough that an insertion moves little, large enough for few leaves. */
const LEAF_COUNT_MAX = 256;

interface Leaf {
  readonly names: string[];
  readonly ids: string[];
}

/** Names in natural order with the id that each stands for: a list of sorted leaves. */
export class SortedNames {
  readonly #leaves: Leaf[] = [];

  /** Id of the name that is equal but for its case. */
  find(name: string): string | undefined {
    const leaf = this.#leaves[this.#leafFor(name)];
    if (leaf === undefined) return undefined;
    const offset = lowerBound(leaf.names, name);
    const found = leaf.names[offset];
    return found !== undefined && compareNatural(found, name) === 0 ? leaf.ids[offset] : undefined;
  }

  /** Adds a name that is not there yet. */
  add(name: string, id: string): void {
    const place = Math.min(this.#leafFor(name), this.#leaves.length - 1);
    const leaf = this.#leaves[place];
    if (leaf === undefined) {
      this.#leaves.push({ names: [name], ids: [id] });
      return;
    }
    const offset = lowerBound(leaf.names, name);
    leaf.names.splice(offset, 0, name);
    leaf.ids.splice(offset, 0, id);
    if (leaf.names.length <= LEAF_COUNT_MAX) return;
    const half = leaf.names.length >>> 1;
    this.#leaves.splice(place + 1, 0, {
      names: leaf.names.splice(half),
      ids: leaf.ids.splice(half),
    });
  }

  /** Takes a name away; one that is not there is no matter. */
  remove(name: string): void {
    const place = this.#leafFor(name);
    const leaf = this.#leaves[place];
    if (leaf === undefined) return;
    const offset = lowerBound(leaf.names, name);
    const found = leaf.names[offset];
    if (found === undefined || compareNatural(found, name) !== 0) return;
    leaf.names.splice(offset, 1);
    leaf.ids.splice(offset, 1);
    if (leaf.names.length === 0) this.#leaves.splice(place, 1);
  }

  /**
   * Ids of the names that begin with `prefix` (in any case), in order, each at most once. Names may
   * come and go while somebody reads: the walk goes on behind the last name it saw.
   */
  *ids(prefix: string): Generator<string, void, undefined> {
    const wanted = prefix.toLowerCase();
    // With digits at its end a prefix is not one stretch of the order: "a1" and "a10" frame "a2".
    const stretch = wanted.replace(/\d+$/, '');
    let last: string | undefined;
    for (;;) {
      const leaf = this.#leaves[this.#leafFor(last ?? stretch)] ?? undefined;
      const next = leaf === undefined ? undefined : this.#after(leaf, last, stretch);
      if (next === undefined) return;
      for (const [offset, name] of next.names.entries()) {
        const canonical = name.toLowerCase();
        if (!canonical.startsWith(stretch)) return;
        if (canonical.startsWith(wanted)) yield next.ids[offset] ?? '';
        last = name;
      }
    }
  }

  /** A copy of what follows `last` in its leaf, or of the leaf behind it. */
  #after(leaf: Leaf, last: string | undefined, start: string): Leaf | undefined {
    const offset =
      last === undefined ? lowerBound(leaf.names, start) : upperBound(leaf.names, last);
    if (offset < leaf.names.length)
      return { names: leaf.names.slice(offset), ids: leaf.ids.slice(offset) };
    const following = this.#leaves[this.#leaves.indexOf(leaf) + 1];
    return following === undefined
      ? undefined
      : { names: [...following.names], ids: [...following.ids] };
  }

  /** Offset of the first leaf whose last name is not before `name`. */
  #leafFor(name: string): number {
    let low = 0;
    let high = this.#leaves.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const last = this.#leaves[middle]?.names.at(-1) ?? '';
      if (compareNatural(last, name) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function lowerBound(names: readonly string[], name: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareNatural(names[middle] ?? '', name) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function upperBound(names: readonly string[], name: string): number {
  const offset = lowerBound(names, name);
  const found = names[offset];
  return found !== undefined && compareNatural(found, name) === 0 ? offset + 1 : offset;
}
