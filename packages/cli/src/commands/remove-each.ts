import type { Call } from '../command-spec.js';
import { confirm } from '../confirm.js';
import { usageError } from '../flags.js';
import { oneLine } from '../output/text.js';
import { checkDoneOptions } from '../output/print.js';
import { formatYaml } from '../output/yaml.js';
import { plural } from './shared.js';

/** One object that was removed. */
interface Removed {
  readonly name: string;
  readonly index: number;
}

async function printRemoved(call: Call, removed: readonly Removed[]): Promise<void> {
  const format = checkDoneOptions(call);
  const { stdout } = call.io;
  if (format === 'json') await stdout.write(`${JSON.stringify(removed, undefined, 2)}\n`);
  if (format === 'yaml') await stdout.write(formatYaml(removed));
}

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
  const format = checkDoneOptions(call);
  const names = call.arguments;
  if (names.length > 1 && call.flags.text('idempotencyKey') !== undefined) {
    throw usageError(`--idempotency-key goes with one ${input.what}`);
  }
  const object =
    names.length === 1 ? `${input.what} ${names[0] ?? ''}` : plural(names.length, input.what);
  await confirm(call, `${input.verb} ${oneLine(object)}${input.consequence}?`);
  const removed: Removed[] = [];
  try {
    for (const name of names) {
      const { index } = await input.remove(name);
      removed.push({ name, index });
      const line = format === 'id' ? name : `${name} ${input.past} at index ${index}`;
      if (format === 'text' || format === 'id') await call.io.stdout.write(`${oneLine(line)}\n`);
    }
  } finally {
    await printRemoved(call, removed);
  }
}
