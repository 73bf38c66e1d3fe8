import { constants } from 'node:os';

import { ConclaveError } from '@conclave/kernel';

const NUMBERS = new Map<string, number>(Object.entries(constants.signals));
const SHELL_SIGNAL_BASE = 128;

/**
 * The signal of a name such as "HUP" or "SIGHUP"; empty: SIGTERM.
 * @throws CV_ARGUMENT_INVALID for a name that this host does not know
 */
export function parseSignal(name: string): NodeJS.Signals {
  const upper = name.toUpperCase();
  const full = upper === '' ? 'SIGTERM' : upper.startsWith('SIG') ? upper : `SIG${upper}`;
  if (!NUMBERS.has(full)) {
    throw new ConclaveError('CV_ARGUMENT_INVALID', 'the signal has no known name');
  }
  return full as NodeJS.Signals;
}

/** The signal that a shell's status stands for; undefined for others. */
export function signalOfStatus(status: number): string | undefined {
  if (status <= SHELL_SIGNAL_BASE) return undefined;
  const number = status - SHELL_SIGNAL_BASE;
  for (const [name, value] of NUMBERS) if (value === number) return name;
  return undefined;
}

/** The status that a shell gives to an end by `signal`. */
export function statusOfSignal(signal: NodeJS.Signals): number {
  return SHELL_SIGNAL_BASE + (NUMBERS.get(signal) ?? 0);
}
