import { compareNatural } from './natural.js';

/** Items per leaf: small enough that an insertion moves little, large enough for few leaves. */
const LEAF_COUNT_MAX = 256;

/** What stands in the order. */
export interface Named {
  readonly name: string;
}

/** Items in natural order of names, one per name but for its case: a list of sorted leaves. */
export class SortedNames<Item extends Named> {
  readonly #leaves: Item[][] = [];

  /** The item whose name is equal but for its case. */
  find(name: string): Item | undefined {
    const leaf = this.#leaves[this.#leafFor(name)];
    const found = leaf?.[lowerBound(leaf, name)];
    return found !== undefined && compareNatural(found.name, name) === 0 ? found : undefined;
  }

  /** Adds an item whose name is not there yet. */
  add(item: Item): void {
    const place = Math.min(this.#leafFor(item.name), this.#leaves.length - 1);
    const leaf = this.#leaves[place];
    if (leaf === undefined) {
      this.#leaves.push([item]);
      return;
    }
    leaf.splice(lowerBound(leaf, item.name), 0, item);
    if (leaf.length <= LEAF_COUNT_MAX) return;
    this.#leaves.splice(place + 1, 0, leaf.splice(leaf.length >>> 1));
  }

  /** Takes a name away; one that is not there is no matter. */
  remove(name: string): void {
    const place = this.#leafFor(name);
    const leaf = this.#leaves[place];
    if (leaf === undefined) return;
    const offset = lowerBound(leaf, name);
    const found = leaf[offset];
    if (found === undefined || compareNatural(found.name, name) !== 0) return;
    leaf.splice(offset, 1);
    if (leaf.length === 0) this.#leaves.splice(place, 1);
  }

  /**
   * Items whose names begin with `prefix` (in any case), in order, each at most once. Names may
   * come and go while somebody reads: the walk goes on behind the last name it saw.
   */
  *from(prefix: string): Generator<Item, void, undefined> {
    const wanted = prefix.toLowerCase();
    // With digits at its end a prefix is not one stretch of the order: "a1" and "a10" frame "a2".
    const stretch = wanted.replace(/\d+$/, '');
    let part = this.#behind(stretch, false);
    while (part.length > 0) {
      let last = stretch;
      for (const item of part) {
        const canonical = item.name.toLowerCase();
        if (!canonical.startsWith(stretch)) return;
        if (canonical.startsWith(wanted)) yield item;
        last = item.name;
      }
      part = this.#behind(last, true);
    }
  }

  /** A copy of what is left of one leaf from `name` on, or behind it; empty at the end. */
  #behind(name: string, isSeen: boolean): readonly Item[] {
    const place = this.#leafFor(name);
    const leaf = this.#leaves[place];
    if (leaf === undefined) return [];
    const offset = lowerBound(leaf, name);
    const found = leaf[offset];
    const isSkipped = isSeen && found !== undefined && compareNatural(found.name, name) === 0;
    const rest = leaf.slice(isSkipped ? offset + 1 : offset);
    return rest.length > 0 ? rest : [...(this.#leaves[place + 1] ?? [])];
  }

  /** Offset of the first leaf whose last name is not before `name`. */
  #leafFor(name: string): number {
    let low = 0;
    let high = this.#leaves.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const last = this.#leaves[middle]?.at(-1)?.name ?? '';
      if (compareNatural(last, name) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function lowerBound(leaf: readonly Named[], name: string): number {
  let low = 0;
  let high = leaf.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareNatural(leaf[middle]?.name ?? '', name) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
