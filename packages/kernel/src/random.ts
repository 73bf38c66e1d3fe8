/** The source of randomness handed to everything below the daemon. */
export interface Random {
  /** `count` (0..65_536) unpredictable bytes in a buffer of their own. */
  bytes(count: number): Uint8Array;
  /** A uniform integer in `[0, limit)`, 1 <= limit <= 2^52. */
  below(limit: number): number;
}

/** `baseMs` moved by up to plus or minus `share` (0..1) of itself, as a whole number. */
export function jitter(random: Random, baseMs: number, share: number): number {
  const reach = Math.floor(baseMs * share);
  return baseMs - reach + random.below(2 * reach + 1);
}
