import { byteLength, ConclaveError, limits } from '@conclave/kernel';

import type { TaskPlan } from '../executor.js';
import { parseSignal } from './signals.js';

const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * Checks what of a plan reaches the operating system.
 * @throws CV_UNSUPPORTED for another runtime, CV_ARGUMENT_INVALID naming the field
 */
export function checkPlan(plan: TaskPlan): void {
  if (plan.runtime !== 'process' && plan.runtime !== '') {
    throw new ConclaveError('CV_UNSUPPORTED', 'this version runs processes only', {
      hint: 'Use the runtime "process".',
    });
  }
  const [program] = plan.command;
  const variables = Object.entries(plan.env);
  const words = [...plan.command, ...variables.flat()];
  if (program === undefined || program === '') fail('command', 'is empty');
  if (program?.includes('=') === true) fail('command', 'may not have "=" in its first word');
  if (plan.command.length > limits.COMMAND_WORD_COUNT_MAX) fail('command', 'has too many words');
  if (variables.length > limits.ENVIRONMENT_COUNT_MAX) fail('env', 'has too many variables');
  if (words.some((word) => word.includes('\0'))) fail('command', 'or env has a zero byte');
  if (words.reduce((sum, word) => sum + byteLength(word) + 1, 0) > limits.COMMAND_BYTES_MAX) {
    fail('command', `and env are over ${limits.COMMAND_BYTES_MAX} bytes`);
  }
  if (!variables.every(([name]) => VARIABLE_NAME.test(name))) {
    fail('env', 'has a name that is not letters, digits and "_"');
  }
  const folder = plan.workingDirectory;
  if (folder !== '' && (!folder.startsWith('/') || folder.includes('\0'))) {
    fail('working_directory', 'must be absolute');
  }
  parseSignal(plan.stopSignal);
}

function fail(field: string, rule: string): never {
  throw new ConclaveError('CV_ARGUMENT_INVALID', `${field} ${rule}`, { details: { field } });
}
