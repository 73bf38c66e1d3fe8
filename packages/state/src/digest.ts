/** Constants of a well-mixing 32-bit multiply-rotate step; any odd ones would do. */
const MIX_A = 0x9e3779b1;
const MIX_B = 0x85ebca77;
const WORD = 0x100000000;
/** Looked up once: in some hosts a global costs more than the multiplication. */
const multiply: (left: number, right: number) => number = Math.imul;

/** Fields whose objects are shared by many rows: their sums are remembered by identity. */
const SHARED_FIELDS: ReadonlySet<string> = new Set(['spec', 'previousSpec']);

interface Sum {
  readonly high: number;
  readonly low: number;
}

/**
 * An order-free checksum of rows: the sum of one 64-bit hash per row, kept as two 32-bit lanes.
 * It notices that managers differ; it is no defence against somebody who wants them to.
 */
export class Digest {
  #high = 0;
  #low = 0;
  readonly #shared = new WeakMap<object, Sum>();

  /** Adds (`sign` 1) or takes away (-1) one row of `table`. */
  count(table: string, row: object, sign: 1 | -1): void {
    const sum = this.#hash([table, row]);
    this.#high = (this.#high + sign * sum.high) | 0;
    this.#low = (this.#low + sign * sum.low) | 0;
  }

  /** What {@link restore} takes. */
  save(): Sum {
    return { high: this.#high, low: this.#low };
  }

  restore(saved: Sum): void {
    this.#high = saved.high;
    this.#low = saved.low;
  }

  /** 16 hexadecimal digits. */
  text(): string {
    return hex(this.#high) + hex(this.#low);
  }

  #hash(value: unknown): Sum {
    const mixer = new Mixer();
    this.#feed(mixer, value);
    return mixer.finish();
  }

  #feed(mixer: Mixer, value: unknown): void {
    if (typeof value === 'string') mixer.text(value);
    else if (typeof value === 'number') mixer.number(value);
    else if (typeof value === 'boolean') mixer.word(value ? 3 : 2);
    else if (value === undefined || value === null) mixer.word(1);
    else if (value instanceof Uint8Array) mixer.bytes(value);
    else if (Array.isArray(value)) {
      mixer.word(value.length ^ 0x4000_0000);
      for (const item of value) this.#feed(mixer, item);
    } else if (typeof value === 'object') this.#feedObject(mixer, value);
  }

  /** Fields are summed up, so their order does not count; absent and undefined are the same. */
  #feedObject(mixer: Mixer, value: object): void {
    let high = 0;
    let low = 0;
    const plain = value as Readonly<Record<string, unknown>>;
    for (const key of Object.keys(plain)) {
      const field = plain[key];
      if (field === undefined) continue;
      const inner = new Mixer();
      inner.text(key);
      if (typeof field === 'object' && field !== null && SHARED_FIELDS.has(key)) {
        const shared = this.#sharedSum(field);
        inner.word(shared.high);
        inner.word(shared.low);
      } else this.#feed(inner, field);
      const sum = inner.finish();
      high = (high + sum.high) | 0;
      low = (low + sum.low) | 0;
    }
    mixer.word(high);
    mixer.word(low);
  }

  #sharedSum(value: object): Sum {
    const known = this.#shared.get(value);
    if (known !== undefined) return known;
    const sum = this.#hash(value);
    this.#shared.set(value, sum);
    return sum;
  }
}

class Mixer {
  #a = 0x243f6a88;
  #b = 0x13198a2e;

  word(word: number): void {
    const a = multiply(this.#a ^ word, MIX_A);
    this.#a = (a << 13) | (a >>> 19);
    const b = multiply((this.#b + word) | 0, MIX_B);
    this.#b = b ^ (b >>> 15);
  }

  number(value: number): void {
    if (!Number.isSafeInteger(value)) {
      this.text(String(value));
      return;
    }
    this.word(value | 0);
    this.word(Math.floor(value / WORD) ^ 0x2000_0000);
  }

  text(value: string): void {
    this.word(value.length);
    for (let offset = 0; offset < value.length; offset += 2) {
      this.word(value.charCodeAt(offset) | ((value.charCodeAt(offset + 1) || 0) << 16));
    }
  }

  bytes(value: Uint8Array): void {
    this.word(value.length ^ 0x1000_0000);
    const whole = value.length & ~3;
    for (let offset = 0; offset < whole; offset += 4) {
      this.word(
        (value[offset] ?? 0) |
          ((value[offset + 1] ?? 0) << 8) |
          ((value[offset + 2] ?? 0) << 16) |
          ((value[offset + 3] ?? 0) << 24),
      );
    }
    for (let offset = whole; offset < value.length; offset += 1) this.word(value[offset] ?? 0);
  }

  finish(): Sum {
    return { high: avalanche(this.#a ^ (this.#b << 1)), low: avalanche(this.#b ^ (this.#a >>> 3)) };
  }
}

function avalanche(word: number): number {
  let mixed = word ^ (word >>> 16);
  mixed = multiply(mixed, MIX_B);
  mixed ^= mixed >>> 13;
  mixed = multiply(mixed, MIX_A);
  return mixed ^ (mixed >>> 16);
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}
