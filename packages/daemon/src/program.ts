import { hostname } from 'node:os';
import { EXIT_CODES, toConclaveError, VERSION } from '@conclave/kernel';
import type { ConclaveError } from '@conclave/kernel';
import { readConfig } from './config.js';
import { Daemon } from './daemon.js';
import { readFlags, USAGE } from './flags.js';
import { hardenProcess } from './hygiene.js';

function report(error: ConclaveError): void {
  process.stderr.write(`error: ${error.message}\n`);
  if (error.hint !== '') process.stderr.write(`hint: ${error.hint}\n`);
}

async function run(args: readonly string[]): Promise<number> {
  const flags = readFlags(args);
  if (flags.isHelp) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (flags.isVersion) {
    process.stdout.write(`conclaved ${VERSION}\n`);
    return 0;
  }
  hardenProcess(flags.isInsecureDev);
  const config = await readConfig(flags, {
    uid: process.getuid?.() ?? 0,
    hostname: hostname(),
    env: process.env,
    isTerminal: process.stderr.isTTY === true,
  });
  // From the first moment: a stop during the start ends what was started, in order.
  let daemon: Daemon | undefined;
  let isStopAsked = false;
  const stop = (): void => {
    isStopAsked = true;
    daemon?.requestStop();
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  // A terminal that goes away must not end the daemon of a host.
  process.on('SIGHUP', () => undefined);
  daemon = await Daemon.start(config);
  if (isStopAsked) daemon.requestStop();
  return daemon.ended;
}

run(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
    // Handles of libraries must not keep a process that has said goodbye.
    setImmediate(() => process.exit(code));
  },
  (error: unknown) => {
    const failure = toConclaveError(error);
    report(failure);
    process.exit(EXIT_CODES[failure.kind]);
  },
);
