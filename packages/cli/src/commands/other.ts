import { VERSION } from '@conclave/kernel';
import type { CommandSpec } from '../command-spec.js';
import { usageError } from '../flags.js';
import { completionScript } from '../completion/script.js';

import { argument } from './shared.js';

/** The daemon in the foreground. Its options are read by the daemon itself. */
export const DAEMON_COMMAND: CommandSpec = {
  path: 'daemon',
  summary: 'Run the daemon (conclaved) in the foreground',
  details: ['What stands behind `daemon` goes to conclaved as it is.'],
  examples: ['conclave daemon --data-dir /var/lib/conclave --log-format pretty'],
  options: [
    { flags: '--data-dir <path>', help: 'what stays on disk: identity and, on managers, the log' },
    { flags: '--run-dir <path>', help: 'socket and memory file systems' },
    { flags: '--config <path>', help: 'YAML file; options win over it' },
    { flags: '--listen <host[:port]>', help: 'address of the cluster listener (0.0.0.0:7420)' },
    { flags: '--join-port <port>', help: 'port of the join listener (cluster port + 1)' },
    { flags: '--hostname <name>', help: 'name of this host in the cluster (that of the system)' },
    { flags: '--log-level <level>', help: 'error, warn, info or debug' },
    { flags: '--log-format <format>', help: 'json or pretty' },
    { flags: '--delivery-sealing <how>', help: 'hybrid, or classical as a way back' },
    { flags: '--allow-swap', help: 'run although memory of this host may be swapped to a disk' },
    {
      flags: '--insecure-dev',
      help: 'run without what conclaved gives its process; for trying out',
    },
  ],
  hasUncheckedArguments: true,
  run: (call) => call.tools.startDaemon(call.arguments),
};

/** Does not connect anywhere. */
export const VERSION_COMMAND: CommandSpec = {
  path: 'version',
  summary: 'Show the version of this command; `conclave status` shows that of the daemon',
  examples: ['conclave version -o json'],
  options: [{ flags: '-o, --output <format>', help: 'table or json' }],
  fields: ['version', 'node'],
  run: async (call) => {
    const output = call.flags.choice('output', ['table', 'json']) ?? 'table';
    const data = { version: VERSION, node: process.versions.node };
    const text = output === 'json' ? JSON.stringify(data) : `conclave ${VERSION}`;
    await call.io.stdout.write(`${text}\n`);
  },
};

/** Scripts for shells, made from the command tree. */
export const COMPLETION_COMMAND: CommandSpec = {
  path: 'completion',
  arguments: '<shell>',
  summary: 'Print a completion script; SHELL is bash, zsh or fish',
  examples: [
    'source <(conclave completion bash)',
    'conclave completion fish > ~/.config/fish/completions/conclave.fish',
  ],
  run: async (call) => {
    const shell = argument(call, 0);
    if (shell !== 'bash' && shell !== 'zsh' && shell !== 'fish') {
      throw usageError('SHELL must be bash, zsh or fish');
    }
    await call.io.stdout.write(completionScript(shell, call.commands));
  },
};
