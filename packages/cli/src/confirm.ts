import { ConclaveError } from '@conclave/kernel';
import type { Call, OptionSpec } from './command-spec.js';
import { usageError } from './flags.js';
import { readLine } from './prompt.js';

/** Option of every command that destroys something. */
export const YES_OPTION: OptionSpec = { flags: '-y, --yes', help: 'do not ask' };

/**
 * Returns when the person agrees: with `--yes`, or by answering the question on the terminal.
 * @throws CV_ARGUMENT_INVALID without `--yes` where nobody can be asked
 * @throws CV_CANCELLED for any other answer than yes
 */
export async function confirm(call: Call, question: string): Promise<void> {
  if (call.flags.isOn('yes')) return;
  const { stderr, stdin } = call.io;
  if (!stdin.isTerminal || !stderr.isTerminal) {
    throw usageError(
      'this command destroys something and there is no terminal to ask on',
      'Add --yes when it is meant.',
    );
  }
  const answer = await readLine(call.io, `${question} [y/N] `);
  if (!['y', 'yes'].includes(answer.trim().toLowerCase())) {
    throw new ConclaveError('CV_CANCELLED', 'nothing was done', {
      hint: 'Repeat the command and answer y when it is meant.',
    });
  }
}
