import { writeFileSync } from 'node:fs';

/**
 * Must be the first import of the entry file. Without a listener, SIGUSR1 opens the inspector of a
 * Node process, and with it all of its memory: a value that is about to be sealed, the key of a context.
 */
process.on('SIGUSR1', () => undefined);
try {
  // Also where the limit of 0 that the launcher sets has no effect: for a core that goes to a program.
  writeFileSync('/proc/self/coredump_filter', '0');
} catch {
  // A system without /proc, or a kernel without core files.
}
