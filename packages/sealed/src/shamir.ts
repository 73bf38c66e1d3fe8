import { assert, ConclaveError } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';

import { SecretBytes } from './secret-bytes.js';

/** The most shares of one secret: their numbers are the 255 elements of the field besides 0. */
export const SHARE_COUNT_MAX = 255;

/** The field's polynomial, x^8 + x^4 + x^3 + x + 1. */
const FIELD = 0x11b;

/** One share: a point of every byte's polynomial. */
export interface Share {
  /** 1..255, its place on the polynomials. Public. */
  readonly index: number;
  /** As long as the secret. */
  readonly bytes: SecretBytes;
}

/**
 * Splits a secret so that any `threshold` (2..count) of `count` (..255) shares make it again, and
 * fewer say nothing about it: one random polynomial over GF(256) per byte. The shares are numbered
 * from 1. Takes the same time for every secret. Does not wipe the secret.
 */
export function splitSecret(
  secret: SecretBytes,
  options: { readonly threshold: number; readonly count: number; readonly random: Random },
): readonly Share[] {
  const { threshold, count, random } = options;
  assert(threshold >= 2 && threshold <= count && count <= SHARE_COUNT_MAX, '2 <= k <= n <= 255');
  const coefficients = SecretBytes.random(random, (threshold - 1) * secret.size);
  try {
    return Array.from({ length: count }, (_, place) => ({
      index: place + 1,
      bytes: evaluate(secret, coefficients, place + 1),
    }));
  } finally {
    coefficients.wipe();
  }
}

/**
 * The secret out of exactly as many shares as its threshold, in any order. With a wrong or foreign
 * share the result is another secret: the caller has to check it. Does not wipe the shares.
 * @throws CV_ARGUMENT_INVALID when shares repeat, differ in length or are numbered 0
 */
export function combineShares(shares: readonly Share[]): SecretBytes {
  const size = shares[0]?.bytes.size ?? 0;
  const indexes = new Set(shares.map(({ index }) => index));
  const isFit =
    indexes.size === shares.length &&
    shares.every(({ index, bytes }) => index >= 1 && index <= 255 && bytes.size === size);
  if (shares.length < 2 || !isFit) {
    throw new ConclaveError('CV_ARGUMENT_INVALID', 'these shares do not belong together');
  }
  const secret = SecretBytes.allocate(size);
  secret.use((target) => {
    for (const { index, bytes } of shares) {
      const weight = weightOf(index, indexes);
      bytes.use((view) => {
        for (let offset = 0; offset < size; offset += 1) {
          target[offset] = (target[offset] ?? 0) ^ multiply(view[offset] ?? 0, weight);
        }
      });
    }
  });
  return secret;
}

/** The value at `x` of the polynomials that begin with the secret, by Horner's rule. */
function evaluate(secret: SecretBytes, coefficients: SecretBytes, x: number): SecretBytes {
  const { size } = secret;
  const point = SecretBytes.allocate(size);
  point.use((target) =>
    coefficients.use((higher) =>
      secret.use((lowest) => {
        for (let offset = 0; offset < size; offset += 1) {
          let sum = 0;
          for (let at = higher.length - size + offset; at >= 0; at -= size) {
            sum = multiply(sum ^ (higher[at] ?? 0), x);
          }
          target[offset] = sum ^ (lowest[offset] ?? 0);
        }
      }),
    ),
  );
  return point;
}

/** What the share of `index` counts for in the value at 0 (Lagrange). Only of public numbers. */
function weightOf(index: number, indexes: ReadonlySet<number>): number {
  let weight = 1;
  for (const other of indexes) {
    if (other !== index) weight = multiply(weight, multiply(other, invert(other ^ index)));
  }
  return weight;
}

/** Product in GF(256). No branch and no memory address depends on the factors. */
export function multiply(left: number, right: number): number {
  let product = 0;
  let shifted = left;
  for (let bit = 0; bit < 8; bit += 1) {
    product ^= -((right >>> bit) & 1) & shifted;
    shifted = (shifted << 1) ^ (-(shifted >>> 7) & FIELD);
  }
  return product;
}

/** The 254th power, which is the inverse of everything but 0. */
function invert(value: number): number {
  let power = value;
  // 254 in binary is seven ones and a zero: square and multiply six times, then square.
  for (let step = 0; step < 6; step += 1) power = multiply(multiply(power, power), value);
  return multiply(power, power);
}
