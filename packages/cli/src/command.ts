import { EXIT_OK } from './exit-codes.js';
import { processIo } from './process-io.js';
import { processTools } from './process-tools.js';
import { run } from './run.js';

/** What a shell expects of a process that a second Ctrl-C ended. */
const EXIT_INTERRUPTED = 130;

const interrupt = new AbortController();
const argv = process.argv.slice(2);

// The daemon has its own way to stop.
if (argv[0] !== 'daemon') {
  process.on('SIGINT', () => {
    if (interrupt.signal.aborted) process.exit(EXIT_INTERRUPTED);
    interrupt.abort();
  });
}

void run(argv, processIo(interrupt.signal), processTools(interrupt.signal)).then((code) => {
  // A daemon that was started decides on its own exit code later.
  if (code !== EXIT_OK) process.exitCode = code;
});
