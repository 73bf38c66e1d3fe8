import type { Call, OptionSpec } from '../command-spec.js';
import { usageError } from '../flags.js';
import { compileFilter } from './filter.js';
import { formatTable } from './table.js';
import { compileTemplate } from './template.js';
import { compareNaturally, oneLine } from './text.js';
import { project } from './view.js';
import type { View } from './view.js';
import { formatYaml, formatYamlItem } from './yaml.js';

/** Rows of a table that are aligned and sorted together; longer lists come in several parts. */
const TABLE_ROWS_MAX = 10_000;

const OUTPUT: OptionSpec = {
  flags: '-o, --output <format>',
  help: 'table, json, yaml or name',
};
const FORMAT: OptionSpec = {
  flags: '--format <template>',
  help: "a line per object, such as '{{.name}}\\t{{.id}}'",
};
const QUIET: OptionSpec = { flags: '-q, --quiet', help: 'ids only' };

/** Options of a command that shows one object. */
export const ONE_OPTIONS: readonly OptionSpec[] = [OUTPUT, FORMAT, QUIET];

/** Options of a command that changes something and says what. */
export const DONE_OPTIONS: readonly OptionSpec[] = [
  { flags: '-o, --output <format>', help: 'json or yaml instead of a sentence' },
  { flags: '-q, --quiet', help: 'print only the id or nothing' },
];

/** Options of a command that lists. */
export const LIST_OPTIONS: readonly OptionSpec[] = [
  ...ONE_OPTIONS,
  {
    flags: '-f, --filter <field=value>',
    help: 'only these, for instance state=RUNNING, name=web* or label=tier=front',
    isRepeated: true,
  },
];

type Format = 'table' | 'json' | 'yaml' | 'name' | 'id' | 'template';

function formatOf(call: Call, preset: Format): Format {
  const output = call.flags.choice('output', ['table', 'json', 'yaml', 'name']);
  const chosen = [
    ...(output === undefined ? [] : [output]),
    ...(call.flags.text('format') === undefined ? [] : (['template'] as const)),
    ...(call.flags.isOn('quiet') ? (['id'] as const) : []),
  ];
  if (chosen.length > 1)
    throw usageError('only one of --output, --format and --quiet can be given');
  return chosen[0] ?? preset;
}

function lineOf<Row>(call: Call, view: View<Row>, format: Format): (row: Row) => string {
  switch (format) {
    case 'id':
      return (row) => `${oneLine(view.idOf(row))}\n`;
    case 'name':
      return (row) => `${oneLine(view.nameOf(row))}\n`;
    case 'template': {
      const template = compileTemplate(call.flags.text('format') ?? '', view.fields);
      return (row) => `${template(project(view, row))}\n`;
    }
    case 'yaml':
      return (row) => formatYamlItem(project(view, row));
    case 'json':
      return (row) => JSON.stringify(project(view, row));
    case 'table':
      return (row) =>
        formatTable([view.columns.map(({ cell }) => cell(row, call.tools.clock.now()))]);
  }
}

function tableOf<Row>(call: Call, view: View<Row>, rows: readonly Row[]): string {
  const nowMs = call.tools.clock.now();
  const titles = view.columns.map(({ title }) => title);
  const cells = rows.map((row) => view.columns.map(({ cell }) => cell(row, nowMs)));
  return formatTable([titles, ...cells]);
}

async function printTable<Row>(
  call: Call,
  view: View<Row>,
  rows: AsyncIterable<Row>,
): Promise<void> {
  const sortKey = view.sortKey ?? view.nameOf;
  let part: Row[] = [];
  let hasPrinted = false;
  const flush = async (): Promise<void> => {
    part.sort((left, right) => compareNaturally(sortKey(left), sortKey(right)));
    const table = tableOf(call, view, part);
    await call.io.stdout.write(hasPrinted ? table.slice(table.indexOf('\n') + 1) : table);
    hasPrinted = true;
    part = [];
  };
  for await (const row of rows) {
    part.push(row);
    if (part.length >= TABLE_ROWS_MAX) await flush();
  }
  if (part.length > 0 || !hasPrinted) await flush();
}

async function printLines<Row>(
  call: Call,
  rows: AsyncIterable<Row>,
  shape: { line: (row: Row) => string; isJson: boolean; isYaml: boolean },
): Promise<void> {
  let count = 0;
  for await (const row of rows) {
    const line = shape.line(row);
    await call.io.stdout.write(shape.isJson ? `${count === 0 ? '[\n' : ',\n'}  ${line}` : line);
    count += 1;
  }
  if (shape.isJson) await call.io.stdout.write(count === 0 ? '[]\n' : '\n]\n');
  if (shape.isYaml && count === 0) await call.io.stdout.write('[]\n');
}

/**
 * Prints a list as it arrives; tables are sorted and aligned first.
 * @throws CV_ARGUMENT_INVALID for options that do not fit together, before anything is printed
 */
export async function printList<Row extends object>(
  call: Call,
  view: View<Row>,
  open: () => Promise<AsyncIterable<Row>>,
): Promise<void> {
  const format = formatOf(call, 'table');
  const line = lineOf(call, view, format);
  const isShown = compileFilter(call.flags.list('filter'), view.fields);
  const rows = await open();
  const shown = async function* (): AsyncGenerator<Row, void, void> {
    for await (const row of rows) if (isShown(project(view, row))) yield row;
  };
  if (format === 'table') return printTable(call, view, shown());
  return printLines(call, shown(), { line, isJson: format === 'json', isYaml: format === 'yaml' });
}

/**
 * Prints one object: as YAML unless asked otherwise.
 * @throws CV_ARGUMENT_INVALID for options that do not fit together, before anything is asked
 */
export async function printOne<Row extends object>(
  call: Call,
  view: View<Row>,
  read: () => Promise<Row>,
): Promise<void> {
  const format = formatOf(call, 'yaml');
  const line = lineOf(call, view, format);
  const row = await read();
  const { stdout } = call.io;
  if (format === 'yaml') await stdout.write(formatYaml(project(view, row)));
  else if (format === 'json') {
    await stdout.write(`${JSON.stringify(project(view, row), undefined, 2)}\n`);
  } else if (format === 'table') await stdout.write(tableOf(call, view, [row]));
  else await stdout.write(line(row));
}

/** What a command did. */
export interface Done {
  /** For people: one sentence or several lines. */
  readonly text: string;
  /** For programs. */
  readonly data: Readonly<Record<string, unknown>>;
  /** What `-q` prints; absent: nothing. */
  readonly id?: string;
}

/** Checks the options of `printDone`, to be called before the change is made. */
export function checkDoneOptions(call: Call): 'text' | 'json' | 'yaml' | 'id' {
  const output = call.flags.choice('output', ['json', 'yaml']);
  if (call.flags.isOn('quiet')) {
    if (output !== undefined) throw usageError('only one of --output and --quiet can be given');
    return 'id';
  }
  return output ?? 'text';
}

const eachLine = (text: string): string => text.split('\n').map(oneLine).join('\n');

/** Says what was done. */
export async function printDone(call: Call, done: Done): Promise<void> {
  const { stdout } = call.io;
  switch (checkDoneOptions(call)) {
    case 'id':
      return done.id === undefined ? undefined : stdout.write(`${eachLine(done.id)}\n`);
    case 'json':
      return stdout.write(`${JSON.stringify(done.data, undefined, 2)}\n`);
    case 'yaml':
      return stdout.write(formatYaml(done.data));
    case 'text':
      return stdout.write(`${eachLine(done.text)}\n`);
  }
}

/**
 * Does something to one item after the other and says each; as JSON or YAML it is one list. What is
 * done is said even when a later one fails.
 */
export async function printDoneEach<Item>(
  call: Call,
  items: readonly Item[],
  change: (item: Item) => Promise<Done>,
): Promise<void> {
  const format = checkDoneOptions(call);
  const isList = format === 'json' || format === 'yaml';
  const list: Done['data'][] = [];
  try {
    for (const item of items) {
      const done = await change(item);
      if (isList) list.push(done.data);
      else await printDone(call, done);
    }
  } finally {
    const { stdout } = call.io;
    if (format === 'json') await stdout.write(`${JSON.stringify(list, undefined, 2)}\n`);
    if (format === 'yaml') await stdout.write(formatYaml(list));
  }
}
