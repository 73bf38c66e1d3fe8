import process from 'node:process';
import { parseArgs } from 'node:util';

/**
 * Options of a command, long ones, with `--no-` for switches. Whoever mistypes one is told so in a
 * sentence.
 */
export function parseOptions(options) {
  try {
    return parseArgs({ options, allowNegative: true });
  } catch (error) {
    // Node explains at length how to pass such a thing as a positional argument.
    usageError(error.message.split('. ')[0]);
  }
}

/** Ends with a sentence on standard error. */
export function usageError(text) {
  console.error(`error: ${text}; see --help`);
  process.exit(64);
}

/** A whole number, at least 0, from the command line. */
export function wholeNumber(name, text) {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
    usageError(`--${name} needs a whole number`);
  }
  return value;
}
