import { usageError } from '../flags.js';

/**
 * Reads `KEY=VALUE` pairs; a value may have further `=`. Without `=`, `fallback` is asked.
 * Errors say which one by its number, because a value may be private.
 * @throws CV_ARGUMENT_INVALID for an empty key, a key given twice, or a value that is not there
 */
export function parsePairs(
  option: string,
  texts: readonly string[],
  fallback?: (key: string) => string | undefined,
): Readonly<Record<string, string>> {
  const pairs = new Map<string, string>();
  for (const [offset, text] of texts.entries()) {
    const what = `${option} number ${offset + 1}`;
    const at = text.indexOf('=');
    const key = at === -1 ? text : text.slice(0, at);
    const value = at === -1 ? fallback?.(key) : text.slice(at + 1);
    if (key === '' || value === undefined) throw usageError(`${what} must be KEY=VALUE`);
    if (pairs.has(key)) throw usageError(`${what} repeats a key`);
    pairs.set(key, value);
  }
  return Object.fromEntries(pairs);
}
