import { VERSION } from '@conclave/kernel';
import { Command, Option } from 'commander';
import type { Call, CommandSpec, OptionSpec } from './command-spec.js';
import { GROUPS } from './commands/groups.js';

/** What a matched command line gives to the runner. */
export interface Match {
  readonly spec: CommandSpec;
  readonly arguments: Call['arguments'];
  readonly options: Readonly<Record<string, unknown>>;
}

/** Options that every command has. */
export const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  { flags: '--socket <path>', help: 'socket of the local daemon (or CONCLAVE_SOCKET)' },
  { flags: '--context <name>', help: 'context of a remote cluster (or CONCLAVE_CONTEXT)' },
  { flags: '--timeout <duration>', help: 'for each call, with its repetitions (15s, writes 30s)' },
];

const SUMMARY =
  'Distributes secrets across a cluster of hosts: committed by a quorum, in memory only.';

function addOption(command: Command, spec: OptionSpec): void {
  const option = new Option(spec.flags, spec.help);
  if (spec.isRepeated === true) {
    option.argParser((value: string, previous: unknown) => [
      ...(Array.isArray(previous) ? (previous as string[]) : []),
      value,
    ]);
  }
  command.addOption(option);
}

function describe(command: Command, spec: CommandSpec): void {
  command.summary(spec.summary);
  command.description([`${spec.summary}.`, ...(spec.details ?? [])].join('\n\n'));
  const title = spec.examples.length === 1 ? 'Example:' : 'Examples:';
  const lines = spec.examples.map((example) => `  $ ${example}`);
  command.addHelpText('after', ['', title, ...lines].join('\n'));
}

function addCommand(
  parent: Command,
  spec: CommandSpec,
  onMatch: (match: Match) => Promise<void>,
): void {
  const word = spec.path.split(' ').at(-1) ?? '';
  const command = parent.command(spec.arguments === undefined ? word : `${word} ${spec.arguments}`);
  describe(command, spec);
  for (const option of spec.options ?? []) addOption(command, option);
  const isUnchecked = spec.hasUncheckedArguments === true;
  command.allowExcessArguments(isUnchecked).allowUnknownOption(isUnchecked);
  command.action(async () => {
    await onMatch({ spec, arguments: command.args, options: command.optsWithGlobals() });
  });
}

/** The parser of the whole tree. It prints help through `print` and throws CommanderError. */
export function buildProgram(
  commands: readonly CommandSpec[],
  print: (text: string) => void,
  onMatch: (match: Match) => Promise<void>,
): Command {
  const program = new Command('conclave');
  program.description(SUMMARY).exitOverride().showHelpAfterError(false);
  program.configureOutput({
    writeOut: print,
    writeErr: print,
    outputError: () => undefined,
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  });
  program.configureHelp({ showGlobalOptions: true });
  program.version(`conclave ${VERSION}`, '-V, --version', 'show the version of this command');
  program.helpCommand('help [command]', 'show the help of a command');
  program.helpOption('-h, --help', 'show this help');
  for (const option of GLOBAL_OPTIONS) addOption(program, option);
  const groups = new Map<string, Command>();
  for (const spec of commands) {
    const words = spec.path.split(' ');
    const groupName = words.length > 1 ? (words[0] ?? '') : '';
    let parent = groupName === '' ? program : groups.get(groupName);
    if (parent === undefined) {
      parent = program.command(groupName).summary(GROUPS[groupName] ?? '');
      parent.description(`${GROUPS[groupName] ?? ''}.`).helpCommand(false);
      groups.set(groupName, parent);
    }
    addCommand(parent, spec, onMatch);
  }
  return program;
}
