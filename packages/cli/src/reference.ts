import { EXIT_CODES } from '@conclave/kernel';
import type { ErrorKind } from '@conclave/kernel';
import type { CommandSpec, OptionSpec } from './command-spec.js';
import { GROUPS } from './commands/groups.js';
import { GLOBAL_OPTIONS } from './program.js';

const INTRODUCTION = `# The command line

This page is made from the command tree; a test compares both.

\`conclave\` talks to the daemon of this host over its unix socket: \`--socket PATH\`, else
\`CONCLAVE_SOCKET\`, else \`/run/conclave/conclave.sock\` for root and
\`$XDG_RUNTIME_DIR/conclave/conclave.sock\` for others. A manager answers every command and passes it
on to the leader; a worker answers only what is about its own host.

## What holds for every command

- Tables are for people, \`-o json\`, \`-o yaml\`, \`-o name\`, \`--format\` and \`-q\` for programs. The names
  of the fields of JSON are those under each command and do not change; times end in \`AtMs\` and are
  milliseconds since 1970, UTC. A list is one JSON array that is written as it arrives;
  commands that take several names answer a list too.
- \`--format\` takes text with holes: \`{{.field}}\`, \`{{.spec.name}}\`, \`{{json .field}}\`, \`{{json .}}\`, and
  the escapes \`\\n\` and \`\\t\`. Upper and lower case are equal.
- \`--filter FIELD=VALUE\` compares whole texts, upper and lower case being equal; \`name=web*\` compares
  the beginning, \`label=KEY\` and \`label=KEY=VALUE\` look at labels. Several of one field are
  alternatives; several fields must all fit.
- Durations are written with units: \`500ms\`, \`5s\`, \`1m\`, \`2h\`, \`1d\`, \`1h30m\`.
- What changes the cluster says what it did and at which index of the log. While there is no leader
  it is repeated for up to 30 s (\`--timeout\`), under one idempotency key, so that it is done once.
- What destroys something asks on a terminal and needs \`--yes\` elsewhere.
- Errors are one sentence (\`error: ...\`) and one hint (\`hint: ...\`) on standard error. Progress is
  shown on standard error and only on a terminal. Colours obey \`NO_COLOR\`.
- Values never stand on the command line, in errors or in output. \`secret set\` refuses what stands
  behind the name and does not repeat it.
`;

function heading(level: number, text: string): string {
  return `${'#'.repeat(level)} ${text}\n`;
}

/** Characters that would begin something in a Markdown table. */
function escape(text: string): string {
  return text.replaceAll(/[|<>*_[\]]/g, (character) => `\\${character}`);
}

function optionTable(options: readonly OptionSpec[]): string {
  const rows = options.map(({ flags, help, isRepeated }) => {
    const again = isRepeated === true ? ' (may be repeated)' : '';
    return `| \`${flags.replaceAll('|', '\\|')}\` | ${escape(help)}${again} |\n`;
  });
  return `| option | meaning |\n| --- | --- |\n${rows.join('')}`;
}

function commandSection(spec: CommandSpec): string {
  const words = spec.arguments === undefined ? '' : ` ${spec.arguments}`;
  const options = spec.options ?? [];
  const parts = [
    heading(3, `conclave ${spec.path}`),
    `\`conclave ${spec.path}${words}${options.length > 0 ? ' [options]' : ''}\`\n`,
    `${escape(spec.summary)}.\n`,
    ...(spec.details ?? []).map((paragraph) => `${escape(paragraph)}\n`),
    `\`\`\`sh\n${spec.examples.join('\n')}\n\`\`\`\n`,
  ];
  if (options.length > 0) parts.push(optionTable(options));
  if (spec.fields !== undefined) {
    parts.push(`Fields of JSON: ${spec.fields.map((field) => `\`${field}\``).join(', ')}.\n`);
  }
  return parts.join('\n');
}

const MEANINGS: Readonly<Record<ErrorKind, string>> = {
  usage: 'something that was typed is wrong; nothing was done',
  missing: 'what is named does not exist',
  conflict: 'it exists already, is in use, or has changed since it was read',
  denied: 'this identity or token may not',
  limit: 'a stated bound is exceeded',
  'not-ready': 'no leader, no cluster, no manager yet; `status` found a problem',
  unavailable: 'no answer in time, cancelled, or the outcome is not known',
  corrupt: 'bytes do not pass their check',
  environment: 'this host or a task: a file, a mount, a permission, a reload that failed',
  defect: 'a defect of Conclave',
};

function exitTable(): string {
  const kinds = Object.keys(MEANINGS) as ErrorKind[];
  const rows = kinds.map((kind) => `| ${EXIT_CODES[kind]} | ${kind} | ${MEANINGS[kind]} |\n`);
  const done = 'done, or a reader such as `head` went away';
  return `| exit code | kind | meaning |\n| --- | --- | --- |\n| 0 | | ${done} |\n${rows.join('')}`;
}

/** The reference page of the command line, Markdown, made from the command tree. */
export function renderReference(commands: readonly CommandSpec[]): string {
  const groups = new Map<string, CommandSpec[]>();
  for (const spec of commands) {
    const words = spec.path.split(' ');
    const group = words.length > 1 ? (words[0] ?? '') : '';
    groups.set(group, [...(groups.get(group) ?? []), spec]);
  }
  const sections = [...groups].map(([group, specs]) => {
    const title = group === '' ? 'This host and the whole cluster' : (GROUPS[group] ?? group);
    return [heading(2, title), ...specs.map(commandSection)].join('\n');
  });
  return [
    INTRODUCTION,
    heading(2, 'Options of every command'),
    optionTable(GLOBAL_OPTIONS),
    heading(2, 'Exit codes'),
    exitTable(),
    ...sections,
  ].join('\n');
}
