const SMALL_SIZES = [64, 256, 1024] as const;
const STEPS_PER_DOUBLING = 8;

/**
 * The size that hides a value of `size` bytes: 64, 256, 1024, then steps of an eighth of the
 * power of two below, so at most 12.5 % more. Always greater than `size`: the padding has at
 * least one byte.
 */
export function paddedSizeOf(size: number): number {
  const least = size + 1;
  for (const small of SMALL_SIZES) if (least <= small) return small;
  let power = 1024;
  while (power * 2 < least) power *= 2;
  const step = power / STEPS_PER_DOUBLING;
  return Math.ceil(least / step) * step;
}
