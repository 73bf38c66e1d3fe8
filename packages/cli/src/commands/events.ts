import { isConclaveError } from '@conclave/kernel';
import type { WatchKind } from '@conclave/client';
import type { Call, CommandSpec } from '../command-spec.js';
import { usageError } from '../flags.js';
import { compileFilter } from '../output/filter.js';
import { compileTemplate } from '../output/template.js';
import { oneLine } from '../output/text.js';
import { project } from '../output/view.js';
import { EVENT_VIEW } from '../views/events.js';

const KINDS = ['secret', 'service', 'task', 'node', 'token', 'receipt'] as const;
const INDEX_WIDTH = 8;

function lineOf(call: Call): (row: Readonly<Record<string, unknown>>) => string {
  const template = call.flags.text('format');
  const output = call.flags.choice('output', ['table', 'json']) ?? 'table';
  if (template !== undefined) return compileTemplate(template, EVENT_VIEW.fields);
  if (output === 'json') return (row) => JSON.stringify(row);
  return ({ action, id, index, kind, name, state }) => {
    const what = `${String(kind)} ${String(action)}`.padEnd(16);
    const which = String(name) === '' ? String(id) : String(name);
    return oneLine(`${String(index).padStart(INDEX_WIDTH)}  ${what}  ${which}  ${String(state)}`);
  };
}

function kindsOf(call: Call): readonly WatchKind[] {
  return call.flags.list('kind').map((text) => {
    const kind = KINDS.find((candidate) => candidate === text);
    if (kind === undefined) throw usageError(`--kind must be one of ${KINDS.join(', ')}`);
    return kind;
  });
}

/** `events --follow`: what changes, one line each, until Ctrl-C. */
export const EVENTS_COMMAND: CommandSpec = {
  path: 'events',
  summary: 'Follow what changes in the cluster, one line per change',
  details: ['With -o json every line is one object. Ctrl-C ends it.'],
  examples: ['conclave events --follow --kind secret --kind task'],
  options: [
    { flags: '-F, --follow', help: 'must be given' },
    { flags: '--kind <kind>', help: KINDS.join(', '), isRepeated: true },
    { flags: '--after <index>', help: 'begin behind this log index instead of now' },
    { flags: '-o, --output <format>', help: 'table or json' },
    { flags: '--format <template>', help: "for instance '{{.index}} {{.name}}'" },
    { flags: '-f, --filter <field=value>', help: 'only these', isRepeated: true },
  ],
  fields: EVENT_VIEW.fields,
  run: async (call) => {
    if (!call.flags.isOn('follow')) {
      throw usageError('events needs --follow', 'Add --follow; Ctrl-C ends it.');
    }
    const line = lineOf(call);
    const isShown = compileFilter(call.flags.list('filter'), EVENT_VIEW.fields);
    const kinds = kindsOf(call);
    const afterIndex = call.flags.count('after', { min: 0, max: Number.MAX_SAFE_INTEGER });
    const { signal } = call.tools;
    const client = await call.client();
    try {
      for await (const event of client.cluster.watch({ kinds, afterIndex, signal })) {
        const row = project(EVENT_VIEW, event);
        if (event.action !== 'synced' && isShown(row)) await call.io.stdout.write(`${line(row)}\n`);
      }
    } catch (error) {
      if (!isConclaveError(error) || error.code !== 'CV_CANCELLED') throw error;
    }
  },
};
