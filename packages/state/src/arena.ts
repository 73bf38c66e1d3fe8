import { assert } from '@conclave/kernel';

/** Bytes of a slab: many small records share one, so that none pays for its own buffer. */
const SLAB_BYTES: number = 256 * 1024;
/** Records over this have a slab of their own: little is lost at the end of a shared one. */
const SHARED_BYTES_MAX: number = SLAB_BYTES / 4;
/** Waste that is never worth moving anything. */
const WASTE_BYTES_MIN: number = 1024 * 1024;
/** Each record stands behind its length. */
const PREFIX_BYTES = 4;

interface Slab {
  readonly bytes: Uint8Array;
  /** Where the next record goes. */
  used: number;
  /** Bytes of records that are still in use. */
  live: number;
}

/** Reads records by address. */
export interface ArenaReader {
  /** A view of the record: not to be changed, not to be kept. */
  read(address: number): Uint8Array;
}

/**
 * Memory for many small immutable records. A record is written once and never changed, so a frozen
 * reader only has to keep the slabs of its time. An address is the number of a slab times the size
 * of a shared one, plus the offset: below 2 GiB it costs V8 no object.
 */
export class Arena implements ArenaReader {
  readonly #slabs: (Slab | undefined)[] = [];
  readonly #vacant: number[] = [];
  #current = -1;
  #live = 0;
  #used = 0;

  /** Copies the record; the address stays until {@link free}. */
  write(record: Uint8Array): number {
    const size = record.length + PREFIX_BYTES;
    const place = this.#place(size);
    const slab = this.#slab(place);
    const offset = slab.used;
    new DataView(slab.bytes.buffer).setUint32(offset, record.length);
    slab.bytes.set(record, offset + PREFIX_BYTES);
    slab.used += size;
    slab.live += size;
    this.#used += size;
    this.#live += size;
    return place * SLAB_BYTES + offset;
  }

  read(address: number): Uint8Array {
    return readRecord(this.#slab(Math.floor(address / SLAB_BYTES)).bytes, address % SLAB_BYTES);
  }

  /** Gives a record up; its slab goes with the last one in it. */
  free(address: number): void {
    const place = Math.floor(address / SLAB_BYTES);
    const slab = this.#slab(place);
    const size = readRecord(slab.bytes, address % SLAB_BYTES).length + PREFIX_BYTES;
    slab.live -= size;
    this.#live -= size;
    if (place !== this.#current) this.#dropIfEmpty(place);
  }

  /** True when so much is unused that moving what is left pays. */
  get isWasteful(): boolean {
    const waste = this.#used - this.#live;
    return waste > WASTE_BYTES_MIN && waste * 2 > this.#live;
  }

  /**
   * Tells which records should be written anew and freed. Slabs with more than a quarter unused:
   * what stays wastes less than makes the arena wasteful again, so moving pays for itself.
   */
  wasted(): (address: number) => boolean {
    const wasted = this.#slabs.map(
      (slab, place) =>
        slab !== undefined && place !== this.#current && (slab.used - slab.live) * 4 > slab.used,
    );
    return (address) => wasted[Math.floor(address / SLAB_BYTES)] === true;
  }

  /** Reads what is there now, whatever is freed or moved later. */
  freeze(): ArenaReader {
    const slabs = this.#slabs.map((slab) => slab?.bytes);
    return {
      read(address: number): Uint8Array {
        const slab = slabs[Math.floor(address / SLAB_BYTES)];
        assert(slab !== undefined, 'a frozen record has no slab');
        return readRecord(slab, address % SLAB_BYTES);
      },
    };
  }

  /** Number of a slab with room for a record. */
  #place(size: number): number {
    if (size > SHARED_BYTES_MAX) return this.#add(size);
    const current = this.#slabs[this.#current];
    if (current !== undefined && current.used + size <= current.bytes.length) return this.#current;
    const full = this.#current;
    this.#current = this.#add(SLAB_BYTES);
    if (current !== undefined) this.#dropIfEmpty(full);
    return this.#current;
  }

  #dropIfEmpty(place: number): void {
    const slab = this.#slab(place);
    if (slab.live > 0) return;
    this.#used -= slab.used;
    this.#slabs[place] = undefined;
    this.#vacant.push(place);
  }

  #add(size: number): number {
    const place = this.#vacant.pop() ?? this.#slabs.length;
    this.#slabs[place] = { bytes: new Uint8Array(size), used: 0, live: 0 };
    return place;
  }

  #slab(place: number): Slab {
    const slab = this.#slabs[place];
    assert(slab !== undefined, 'a record has no slab');
    return slab;
  }
}

function readRecord(slab: Uint8Array, offset: number): Uint8Array {
  const size = new DataView(slab.buffer, offset, PREFIX_BYTES).getUint32(0);
  const start = offset + PREFIX_BYTES;
  return slab.subarray(start, start + size);
}
