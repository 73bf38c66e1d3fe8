import type { Call } from '../command-spec.js';
import { confirm } from '../confirm.js';
import { usageError } from '../flags.js';
import { oneLine } from '../output/text.js';
import { checkDoneOptions, printDoneEach } from '../output/print.js';
import { plural } from './shared.js';

/**
 * Asks once, then removes one after the other; what is done is said even when a later one fails.
 * As JSON or YAML it is one list.
 */
export async function removeEach(
  call: Call,
  input: {
    /** `secret`, `service`, ... */
    readonly what: string;
    /** What is done to it: `Remove`. */
    readonly verb: string;
    /** What was done: `removed`. */
    readonly past: string;
    /** The rest of the question: ` with all versions`. */
    readonly consequence: string;
    readonly remove: (name: string) => Promise<{ readonly index: number }>;
  },
): Promise<void> {
  checkDoneOptions(call);
  const names = call.arguments;
  if (names.length > 1 && call.flags.text('idempotencyKey') !== undefined) {
    throw usageError(`--idempotency-key goes with one ${input.what}`);
  }
  const object =
    names.length === 1 ? `${input.what} ${names[0] ?? ''}` : plural(names.length, input.what);
  await confirm(call, `${input.verb} ${oneLine(object)}${input.consequence}?`);
  await printDoneEach(call, names, async (name) => {
    const { index } = await input.remove(name);
    return { text: `${name} ${input.past} at index ${index}`, data: { name, index }, id: name };
  });
}
