import { invalid } from './invalid.js';

/** Signals that a task may be sent: their meaning is the same on every system we run on. */
const SIGNALS: ReadonlySet<string> = new Set([
  'ABRT',
  'ALRM',
  'CONT',
  'HUP',
  'INT',
  'KILL',
  'QUIT',
  'TERM',
  'USR1',
  'USR2',
  'WINCH',
]);
/** Ends a task at once: not a way to tell it of a new value. */
const NOT_FOR_RELOAD: ReadonlySet<string> = new Set(['KILL', 'ABRT']);

/**
 * The name of a signal without `SIG`, in capitals.
 * @throws CV_ARGUMENT_INVALID for numbers and unknown names
 */
export function signalName(field: string, text: string): string {
  const name = text.toUpperCase().replace(/^SIG/, '');
  if (SIGNALS.has(name)) return name;
  throw invalid(field, `must be the name of a signal: ${[...SIGNALS].join(', ')}`);
}

/** Like {@link signalName}, for the signal that announces a new value. @throws CV_ARGUMENT_INVALID */
export function reloadSignalName(field: string, text: string): string {
  const name = signalName(field, text);
  if (!NOT_FOR_RELOAD.has(name)) return name;
  throw invalid(field, 'must be a signal that a task can survive');
}
