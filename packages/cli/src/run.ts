import { EXIT_CODES } from '@conclave/kernel';
import type { ConclaveClient } from '@conclave/client';
import type { Call, Tools } from './command-spec.js';
import { COMMANDS } from './commands/index.js';
import { EXIT_OK } from './exit-codes.js';
import { Flags, usageError } from './flags.js';
import type { Io } from './io.js';
import { buildProgram } from './program.js';
import type { Match } from './program.js';
import { report } from './report.js';
import { targetOf } from './target.js';
import type { Target } from './target.js';

const GLOBAL_OPTION = /^--(?:socket|context|timeout)(=|$)/;

/** Words of the command that `argv` begins with, as far as they are known; for hints. */
function knownPath(argv: readonly string[]): string {
  // Options of every command may stand in front, each with what belongs to it.
  let start = 0;
  for (;;) {
    const option = GLOBAL_OPTION.exec(argv[start] ?? '');
    if (option === null) break;
    start += option[1] === '=' ? 1 : 2;
  }
  for (const count of [2, 1]) {
    const path = argv.slice(start, start + count).join(' ');
    if (COMMANDS.some((spec) => spec.path === path || spec.path.startsWith(`${path} `)))
      return path;
  }
  return '';
}

/** The daemon reads its own options; only its help is ours. */
function isDaemonStart(argv: readonly string[]): boolean {
  return argv[0] === 'daemon' && !argv.includes('--help') && !argv.includes('-h');
}

/**
 * Runs one command line and answers its exit code. Never throws: every error becomes one sentence
 * and one hint on standard error.
 * @param argv words after the program's name
 */
export async function run(argv: readonly string[], io: Io, tools: Tools): Promise<number> {
  const printed: string[] = [];
  let exitCode = EXIT_OK;
  let client: Promise<ConclaveClient> | undefined;
  const runMatch = async ({ arguments: words, options, spec }: Match): Promise<void> => {
    const flags = new Flags(options);
    const { contexts } = tools;
    let target: Promise<Target> | undefined;
    const call: Call = {
      arguments: words,
      flags,
      io,
      tools,
      commands: COMMANDS,
      target: () => {
        target ??= targetOf({ io, flags, contexts, isOfHost: spec.isOfHost === true });
        return target;
      },
      client: () => {
        client ??= connect(call);
        return client;
      },
      setExitCode: (code) => {
        exitCode = code;
      },
    };
    await spec.run(call);
    await renewAfter(call, client);
  };
  try {
    if (isDaemonStart(argv)) await tools.startDaemon(argv.slice(1));
    else {
      const program = buildProgram(COMMANDS, (text) => printed.push(text), runMatch);
      await program.parseAsync([...argv], { from: 'user' });
    }
  } catch (error) {
    exitCode = await report(error, io, knownPath(argv)).catch(() => EXIT_CODES.unavailable);
  } finally {
    await close(client);
  }
  const stream = exitCode === EXIT_OK ? io.stdout : io.stderr;
  // A reader that has gone away does not want the help; nobody is left to tell.
  if (printed.length > 0) await stream.write(printed.join('')).catch(() => undefined);
  return exitCode;
}

async function connect(call: Call): Promise<ConclaveClient> {
  const { flags, tools } = call;
  const target = await call.target();
  const deadlineMs = timeoutMs(flags);
  if (target.kind === 'local') {
    return tools.connect({ socketPath: target.socketPath, deadlineMs });
  }
  const { withCredentials } = await import('./credentials.js');
  return withCredentials(await tools.contexts.read(target.name), (credentials) =>
    tools.connectRemote({ credentials, deadlineMs }),
  );
}

/** Only a command that has used a context may renew it; that context is read once more. */
async function renewAfter(call: Call, client: Promise<ConclaveClient> | undefined): Promise<void> {
  if (client === undefined || (await call.target()).kind === 'local') return;
  const { renewByTheWay } = await import('./auto-renewal.js');
  await renewByTheWay(call, await client);
}

function timeoutMs(flags: Flags): number | undefined {
  const deadlineMs = flags.durationMs('timeout');
  if (deadlineMs === 0) throw usageError('--timeout must be more than 0');
  return deadlineMs;
}

/** A connection that failed has been reported by the command that wanted it. */
async function close(client: Promise<ConclaveClient> | undefined): Promise<void> {
  const opened = await client?.catch(() => undefined);
  await opened?.close();
}
