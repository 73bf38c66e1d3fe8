/**
 * Must be the first import of the entry file. Without a listener, SIGUSR1 opens the inspector of a
 * Node process: a port through which anybody on this host could read its memory.
 */
process.on('SIGUSR1', () => undefined);
