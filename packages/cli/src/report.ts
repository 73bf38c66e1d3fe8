import { EXIT_CODES, isConclaveError } from '@conclave/kernel';
import type { ConclaveError } from '@conclave/kernel';
import { CommanderError } from 'commander';
import { EXIT_OK } from './exit-codes.js';
import { usageError } from './flags.js';
import type { Io } from './io.js';
import { oneLine } from './output/text.js';
import { paint } from './output/colour.js';

/** What an option that is not known is called in the error: never what stands behind it. */
function optionName(text: string): string {
  const name =
    /^--[A-Za-z][A-Za-z-]*(?==|$)/.exec(text)?.[0] ?? /^-[A-Za-z](?=.|$)/.exec(text)?.[0];
  return name === undefined ? 'unknown option' : `unknown option ${name}`;
}

/** A mistake that the parser found, in our words: its own quote what was typed. */
function fromCommander(error: CommanderError, path: string): ConclaveError {
  const hint = `Run \`conclave ${path === '' ? '' : `${path} `}--help\`.`;
  if (error.code === 'commander.unknownOption') {
    return usageError(optionName(/'([^']*)'/.exec(error.message)?.[1] ?? ''), hint);
  }
  // A word that is no command may be a token or a value that slipped out of its place.
  const isGuess = error.message.includes('Did you mean');
  if (error.code === 'commander.unknownCommand' && !isGuess)
    return usageError('unknown command', hint);
  const message = error.message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' ');
  return usageError(message, hint);
}

const isReaderGone = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && 'code' in error && error.code === 'EPIPE';

/**
 * Prints an error as one sentence and one hint and answers the exit code. Help is not an error, and
 * a reader that went away (`| head`) is not one either.
 * @param path words of the command that ran, for the hint
 */
export async function report(error: unknown, io: Io, path: string): Promise<number> {
  if (isReaderGone(error)) return EXIT_OK;
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT_OK;
  if (error instanceof CommanderError && error.code === 'commander.help') return EXIT_CODES.usage;
  const known = error instanceof CommanderError ? fromCommander(error, path) : error;
  const label = paint(io, 'red', 'error:');
  if (!isConclaveError(known)) {
    await io.stderr.write(`${label} internal error\nhint: Report it with what was typed.\n`);
    if (io.env['CONCLAVE_DEBUG'] === '1' && known instanceof Error) {
      await io.stderr.write(`${known.stack ?? ''}\n`);
    }
    return EXIT_CODES.defect;
  }
  await io.stderr.write(`${label} ${oneLine(known.message)}\nhint: ${oneLine(known.hint)}\n`);
  return EXIT_CODES[known.kind];
}
