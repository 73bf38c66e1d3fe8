/**
 * Runs every step, in order, also after one that failed: what is left open would outlive its owner.
 * @throws the first failure
 */
export async function closeAll(
  ...steps: readonly (() => Promise<unknown> | void)[]
): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
