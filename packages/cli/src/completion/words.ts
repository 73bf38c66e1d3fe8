import type { CommandSpec, OptionSpec } from '../command-spec.js';
import { GROUPS } from '../commands/groups.js';
import { GLOBAL_OPTIONS } from '../program.js';

/** What may follow some words of a command line. */
export interface Choice {
  /** Words after `conclave`, empty for the first. */
  readonly path: string;
  /** Next word with its summary. */
  readonly words: readonly (readonly [word: string, summary: string])[];
  readonly options: readonly OptionChoice[];
}

/** One option as a shell wants it. */
export interface OptionChoice {
  readonly short: string | undefined;
  readonly long: string;
  readonly hasValue: boolean;
  readonly help: string;
}

/** Takes `-o, --output <format>` apart. */
export function optionChoice(spec: OptionSpec): OptionChoice {
  const [, short, long = '', value] =
    /^(?:(-[A-Za-z]), )?(--[a-z-]+)(?: <(.+)>)?$/.exec(spec.flags) ?? [];
  return { short, long, hasValue: value !== undefined, help: spec.help };
}

const HELP: OptionSpec = { flags: '-h, --help', help: 'show the help' };

/** Words of the first argument, where there are only a few. */
const ARGUMENT_WORDS: Readonly<Record<string, readonly string[]>> = {
  completion: ['bash', 'zsh', 'fish'],
  'token create': ['worker', 'manager'],
};

/** The whole tree as choices, one per group and command. */
export function choicesOf(commands: readonly CommandSpec[]): readonly Choice[] {
  const first = new Map<string, string>();
  const groups = new Map<string, [string, string][]>();
  const leaves: Choice[] = [];
  for (const spec of commands) {
    const [head = '', tail] = spec.path.split(' ');
    first.set(head, tail === undefined ? spec.summary : (GROUPS[head] ?? ''));
    if (tail !== undefined) groups.set(head, [...(groups.get(head) ?? []), [tail, spec.summary]]);
    const words = (ARGUMENT_WORDS[spec.path] ?? []).map((word) => [word, ''] as const);
    const options = [...(spec.options ?? []), ...GLOBAL_OPTIONS, HELP].map(optionChoice);
    leaves.push({ path: spec.path, words, options });
  }
  const root = { path: '', words: [...first], options: [optionChoice(HELP)] };
  const middle = [...groups].map(([path, words]) => ({
    path,
    words,
    options: [optionChoice(HELP)],
  }));
  return [root, ...middle, ...leaves];
}
