import { parseArgs } from 'node:util';
import { ConclaveError } from '@conclave/kernel';

/** What may stand on the command line; undefined: not given. */
export interface Flags {
  readonly dataDir: string | undefined;
  readonly runDir: string | undefined;
  readonly config: string | undefined;
  readonly listen: string | undefined;
  readonly joinPort: string | undefined;
  readonly hostname: string | undefined;
  readonly logLevel: string | undefined;
  readonly logFormat: string | undefined;
  readonly deliverySealing: string | undefined;
  readonly allowSwap: boolean;
  readonly isInsecureDev: boolean;
  readonly isHelp: boolean;
  readonly isVersion: boolean;
}

/** The text of `--help`. */
export const USAGE = `Usage: conclaved [options]

Runs the Conclave daemon of this host in the foreground.

  --data-dir DIR      what must survive a restart   (root: /var/lib/conclave)
  --run-dir DIR       socket and secrets, in memory (root: /run/conclave)
  --config FILE       YAML file; flags win over it
  --listen HOST[:PORT]  address of the cluster listener (0.0.0.0:7420)
  --join-port PORT    port of the join listener (cluster port + 1)
  --hostname NAME     name of this host in the cluster (that of the system)
  --log-level LEVEL   debug, info, warn or error (info)
  --log-format FORM   json or pretty (pretty on a terminal, else json)
  --delivery-sealing HOW  hybrid, or classical as a way back (hybrid)
  --allow-swap        run although memory of this host may be swapped to a disk
  --insecure-dev      run without what conclaved gives its process; for trying out
  --version           print the version
  --help              print this text

Example: conclaved --data-dir /var/lib/conclave --listen 10.0.0.5
`;

const OPTIONS = {
  'data-dir': { type: 'string' },
  'run-dir': { type: 'string' },
  config: { type: 'string' },
  listen: { type: 'string' },
  'join-port': { type: 'string' },
  hostname: { type: 'string' },
  'log-level': { type: 'string' },
  'log-format': { type: 'string' },
  'delivery-sealing': { type: 'string' },
  'allow-swap': { type: 'boolean' },
  'insecure-dev': { type: 'boolean' },
  version: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

/**
 * Reads the command line.
 * @throws CV_ARGUMENT_INVALID for an unknown flag or a stray word
 */
export function readFlags(args: readonly string[]): Flags {
  try {
    const { values } = parseArgs({ args: [...args], options: OPTIONS, strict: true });
    return {
      dataDir: values['data-dir'],
      runDir: values['run-dir'],
      config: values.config,
      listen: values.listen,
      joinPort: values['join-port'],
      hostname: values.hostname,
      logLevel: values['log-level'],
      logFormat: values['log-format'],
      deliverySealing: values['delivery-sealing'],
      allowSwap: values['allow-swap'] ?? false,
      isInsecureDev: values['insecure-dev'] ?? false,
      isHelp: values.help ?? false,
      isVersion: values.version ?? false,
    };
  } catch (error) {
    const hint = 'See: conclaved --help';
    throw new ConclaveError('CV_ARGUMENT_INVALID', mistakeOf(error), { hint });
  }
}

/** What the parser found, in our words: its own repeat stray words, which may be secret. */
function mistakeOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message: string };
  const flag = /'(?:-\w, )?(--?[A-Za-z][A-Za-z-]*)/.exec(message)?.[1] ?? 'a flag';
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return `${flag} is not a flag of conclaved`;
  if (code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL') return 'only flags may be given';
  if (!message.includes('does not take an argument')) return `${flag} needs a value behind it`;
  return `${flag} takes no value`;
}
