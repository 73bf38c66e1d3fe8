import type { ConfChangeSingle, ConfState, Entry, EntryType, Message, MessageType } from 'raft-ts';
import { encodeConfChange, message } from 'raft-ts';

const CHANGE_TYPES = {
  v: 'ConfChangeAddNode',
  l: 'ConfChangeAddLearnerNode',
  r: 'ConfChangeRemoveNode',
  u: 'ConfChangeUpdateNode',
} as const;

const HEAD = /^(\d+)->(\d+) (Msg\w+) Term:(\d+) Log:(\d+)\/(\d+)(?: Rejected \(Hint: (\d+)\))?/;
const ENTRY = /(\d+)\/(\d+) (EntryNormal|EntryConfChangeV2|EntryConfChange)(?: ("(?:[^"\\]|\\.)*"|[vlru][^\n\]]*))?/g;
const SNAPSHOT = /Snapshot: Index:(\d+) Term:(\d+) ConfState:(.*)/;

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Steps of a configuration change as they are printed, such as `v1 l2`. */
export function parseChanges(text: string): ConfChangeSingle[] {
  return text
    .split(/\s+/)
    .filter((word) => word !== '')
    .map((word) => {
      const [, letter, id] = /^([vlru])(\d+)$/.exec(word) ?? [];
      if (letter === undefined) throw new Error(`"${word}" is no step of a change`);
      return { type: CHANGE_TYPES[letter as keyof typeof CHANGE_TYPES], nodeId: Number(id) };
    });
}

/** Messages as they are printed; lines that continue one begin with a blank or `]`. */
export function parseMessages(lines: readonly string[]): Message[] {
  const texts: string[] = [];
  for (const line of lines) {
    if (/^[ \]]/.test(line)) texts[texts.length - 1] += `\n${line}`;
    else texts.push(line);
  }
  return texts.map(parseMessage);
}

function parseMessage(text: string): Message {
  const head = HEAD.exec(text);
  if (head === null) throw new Error(`"${text}" is no message`);
  const [, from, to, type, term, logTerm, index, rejectHint] = head;
  const number = (name: string): number =>
    Number(new RegExp(` ${name}:(\\d+)`).exec(text.slice(head[0].length))?.[1] ?? 0);
  return message(type as MessageType, {
    from: Number(from),
    to: Number(to),
    term: Number(term),
    logTerm: Number(logTerm),
    index: Number(index),
    reject: rejectHint !== undefined,
    rejectHint: Number(rejectHint ?? 0),
    commit: number('Commit'),
    vote: number('Vote'),
    context: contextOf(text),
    entries: parseEntries(text),
    snapshot: parseSnapshot(text),
  });
}

/** Not printed by the library: `Context:0100000000000000`, bytes in hexadecimal. */
function contextOf(text: string): Uint8Array {
  const [, digits = ''] = / Context:([0-9a-f]*)/.exec(text) ?? [];
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function parseEntries(text: string): Entry[] {
  const [, list = ''] = /Entries:\[([^]*)\]/.exec(text) ?? [];
  return [...list.matchAll(ENTRY)].map(([, term, index, type, content = '']) => ({
    term: Number(term),
    index: Number(index),
    type: type as EntryType,
    data: payloadOf(type as EntryType, content),
  }));
}

function payloadOf(type: EntryType, content: string): Uint8Array {
  if (type === 'EntryNormal') return bytes(content === '' ? '' : (JSON.parse(content) as string));
  const changes = parseChanges(content);
  const [change] = changes;
  if (type === 'EntryConfChangeV2') {
    return encodeConfChange({ version: 2, transition: 'auto', changes }).data;
  }
  if (change === undefined) throw new Error('a change of version 1 has one step');
  return encodeConfChange({ version: 1, change }).data;
}

function parseSnapshot(text: string): Message['snapshot'] {
  const found = SNAPSHOT.exec(text);
  if (found === null) return undefined;
  const [, index, term, conf = ''] = found;
  const ids = (name: string): number[] => {
    const [, list = ''] = new RegExp(`(?:^| )${name}:\\[([^\\]]*)\\]`).exec(conf) ?? [];
    return list === '' ? [] : list.split(' ').map(Number);
  };
  const confState: ConfState = {
    voters: ids('Voters'),
    votersOutgoing: ids('VotersOutgoing'),
    learners: ids('Learners'),
    learnersNext: ids('LearnersNext'),
    autoLeave: conf.includes('AutoLeave:true'),
  };
  return { data: bytes(''), metadata: { index: Number(index), term: Number(term), confState } };
}
