import { randomBytes } from 'node:crypto';
import type { Marker } from '@conclave/testing';

/** Bytes of the largest value. */
export const MIB: number = 1024 * 1024;
/** Divisible by three, so that the base64 text of one goes on in that of the next. */
export const UNIT_BYTES = 36;

const raw = { base64: randomBytes(UNIT_BYTES), hex: randomBytes(UNIT_BYTES) };
/** What every planted value is made of; a part of a value gives it away as well as the whole. */
const UNITS: Readonly<Record<string, Buffer>> = {
  text: Buffer.from(randomBytes(27).toString('base64url')),
  base64: Buffer.from(raw.base64.toString('base64')),
  hex: Buffer.from(raw.hex.toString('hex')),
  binary: randomBytes(UNIT_BYTES),
};
/** Kinds of values. */
export const KINDS: readonly string[] = Object.keys(UNITS);

/** What gives any of them away. */
export const MARKERS: readonly Marker[] = [
  ...Object.entries(UNITS).map(([name, bytes]) => ({ name, bytes })),
  { name: 'base64 decoded', bytes: raw.base64 },
  { name: 'hex decoded', bytes: raw.hex },
];

/** What values of a kind are made of. */
export function unitOf(kind: string): Buffer {
  const unit = UNITS[kind];
  if (unit === undefined) throw new Error(`no unit ${kind}`);
  return unit;
}

/** The planted values of one round: `small` and `large` of each kind. */
export function planted(round: number): Map<string, Buffer> {
  const tail = Buffer.from(` ${round}`);
  return new Map(
    KINDS.flatMap((kind): [string, Buffer][] => [
      [`${kind}-small`, Buffer.concat([unitOf(kind), tail])],
      [`${kind}-large`, Buffer.concat([tail, Buffer.alloc(MIB - tail.length, unitOf(kind))])],
    ]),
  );
}
