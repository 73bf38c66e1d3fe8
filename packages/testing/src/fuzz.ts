/**
 * Runs of each fuzz test: modest by default, `CONCLAVE_FUZZ_RUNS` for as long as somebody has time.
 */
export const FUZZ_RUNS: number = Number(process.env['CONCLAVE_FUZZ_RUNS'] ?? 300);

/** One thing done to bytes; `at` and `value` are taken modulo what fits. */
export interface Damage {
  readonly kind: (typeof DAMAGE_KINDS)[number];
  readonly at: number;
  readonly value: number;
}

/** What may be done to bytes. */
export const DAMAGE_KINDS = ['set', 'flip', 'insert', 'remove', 'cut', 'repeat', 'huge'] as const;

/** As a length, a count or a number: as large as it gets in several encodings. */
const HUGE: readonly Uint8Array[] = [
  Uint8Array.of(0xff, 0xff, 0xff, 0xff),
  Uint8Array.of(0x7f, 0xff, 0xff, 0xff),
  Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f),
  Uint8Array.of(0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
];

/** Bytes that allocate more than this to say no are believed to be believed. */
const GROWTH_BYTES_MAX = 24 * 1024 * 1024;

function hurt(bytes: Uint8Array, { kind, at, value }: Damage): Uint8Array {
  const place = bytes.length === 0 ? 0 : at % bytes.length;
  const before = bytes.subarray(0, place);
  const after = bytes.subarray(place);
  const join = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
  switch (kind) {
    case 'set':
      return join(before, Uint8Array.of(value), after.subarray(1));
    case 'flip':
      return join(before, Uint8Array.of((after[0] ?? 0) ^ (1 << (value % 8))), after.subarray(1));
    case 'insert':
      return join(before, Uint8Array.of(value), after);
    case 'remove':
      return join(before, after.subarray(1 + (value % 8)));
    case 'cut':
      return Uint8Array.from(before);
    case 'repeat':
      return join(before, after, after.subarray(0, 64));
    case 'huge':
      return join(before, HUGE[value % HUGE.length] ?? bytes, after.subarray(4));
  }
}

/** A copy of `bytes` with all of that done to it, one after the other. */
export function damaged(bytes: Uint8Array, damages: readonly Damage[]): Uint8Array {
  return damages.reduce<Uint8Array>(
    (current, damage) => hurt(current, damage),
    Uint8Array.from(bytes),
  );
}

/**
 * Decodes hostile bytes. They may be refused with an error that `isRefusal` knows, or mean something;
 * they must not crash, change what all objects inherit, or make the decoder allocate what they
 * merely announce.
 * @throws whatever breaks these rules
 */
export function decodeHostile<T>(
  decode: () => T,
  isRefusal: (error: unknown) => boolean,
): T | undefined {
  const inherited = Object.getOwnPropertyNames(Object.prototype).length;
  const before = process.memoryUsage();
  let value: T | undefined;
  try {
    value = decode();
  } catch (error) {
    if (!isRefusal(error)) throw error;
  }
  const after = process.memoryUsage();
  const growth = after.heapUsed - before.heapUsed + after.arrayBuffers - before.arrayBuffers;
  if (growth > GROWTH_BYTES_MAX) throw new Error(`decoding allocated ${growth} bytes`);
  if (Object.getOwnPropertyNames(Object.prototype).length !== inherited) {
    throw new Error('decoding changed what all objects inherit');
  }
  return value;
}

/** Names that mean something to the engine or to every object: keys of maps like any other to us. */
export const LOADED_NAMES: readonly string[] = [
  '__proto__',
  'constructor',
  'prototype',
  'constructor.prototype',
  '__defineGetter__',
  '__lookupSetter__',
  'hasOwnProperty',
  'isPrototypeOf',
  'toJSON',
  'toString',
  'valueOf',
  'then',
];

const BUILT_IN = [Object, Array, Function, String, Map, Uint8Array, Promise];

function inherited(): readonly string[] {
  return BUILT_IN.flatMap(({ name, prototype }) =>
    Object.entries(Object.getOwnPropertyDescriptors(prototype)).map(
      ([key, { enumerable, value }]) => `${name}.${key} ${String(enumerable)} ${typeof value}`,
    ),
  );
}

const UNTOUCHED = inherited();

/** What is new or changed in what all objects, lists and functions inherit; empty: nothing. */
export function pollution(): readonly string[] {
  return inherited().filter((line) => !UNTOUCHED.includes(line));
}
