import type { ConfChange, Message } from 'raft-ts';
import { describeEntries, describeMessage, describeProgress, message } from 'raft-ts';
import { setRandomizedElectionTimeout } from 'raft-ts/testing';
import type { Block } from '../../support/blocks.js';
import { addNodes, ELECTION_TICK, HEARTBEAT_TICK, NODE_OPTIONS } from './add-nodes.js';
import type { Member } from './member.js';
import { parseChanges, parseMessages } from './message-text.js';
import { Session } from './session.js';
import { forEach, processAppend, processApply, processReady, stabilize } from './work.js';
import { Words } from './words.js';

type Command = (session: Session, words: Words, input: readonly string[]) => void;

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A command that calls one node. */
const onNode =
  (call: (node: Member['node'], words: Words) => void): Command =>
  (session, words) =>
    call(session.member(words.id).node, words);

const ticking = (count: (words: Words) => number): Command =>
  onNode((node, words) => {
    for (let i = count(words); i > 0; i--) node.tick();
  });

const TRANSITIONS = { auto: 'auto', implicit: 'jointImplicit', explicit: 'jointExplicit' } as const;

function changeOf(words: Words, input: readonly string[]): ConfChange {
  const changes = parseChanges(input.join(' '));
  const [change] = changes;
  if (words.isOn('v1') && change !== undefined) return { version: 1, change };
  const name = (words.text('transition') ?? 'auto') as keyof typeof TRANSITIONS;
  return { version: 2, transition: TRANSITIONS[name], changes };
}

const deliver: Command = (session, words) => {
  const type = words.text('type');
  const before = session.inFlight.length;
  for (const to of words.ids) session.deliver({ to, type });
  for (const to of words.list('drop')) session.drop({ to, type });
  if (session.inFlight.length === before) session.print('no messages');
};

const raftLog: Command = (session, words) => {
  const { storage } = session.member(words.id);
  const [first, last] = [storage.firstIndex(), storage.lastIndex()];
  if (first > last) {
    session.print(`log is empty: first index=${first}, last index=${last}`);
    return;
  }
  const entries = storage.entries(first, last + 1, Number.POSITIVE_INFINITY);
  if (typeof entries !== 'string') session.print(describeEntries(entries));
};

const raftState: Command = (session) => {
  for (const { id, node } of session.members.values()) {
    const { raftState: role, term, lead, config } = node.status();
    const isVoter = config.voters.some((half) => half.has(id));
    const kind = isVoter ? '(Voter)' : '(Non-Voter)';
    session.print(`${id}: ${role} ${kind} Term:${term} Lead:${lead}`);
  }
};

const status: Command = (session, words) => {
  for (const [id, progress] of session.member(words.id).node.status().progress) {
    session.print(`${id}: ${describeProgress(progress)}`);
  }
};

const basicStatus: Command = (session, words) => {
  const s = session.member(words.id).node.basicStatus();
  session.print(
    `Term:${s.term} Vote:${s.vote} Commit:${s.commit} Applied:${s.applied} ` +
      `Lead:${s.lead} Transferee:${s.leadTransferee} State:${s.raftState}`,
  );
};

const sendSnapshot: Command = (session, words) => {
  const { node, state } = session.member(words.id);
  const { term } = node.basicStatus();
  const fields = { from: words.id, to: words.number(1), term, snapshot: state };
  const sent: Message = message('MsgSnap', fields);
  session.inFlight.push(sent);
  session.print(describeMessage(sent));
};

const bootstrap: Command = (session, words) => {
  const peers = words.list('peers').map((id) => ({ id }));
  session.member(words.id).node.bootstrap(peers);
};

const COMMANDS: Readonly<Record<string, Command>> = {
  'add-nodes': addNodes,
  'log-level': (session, words) => session.setLevel(words.positional[0] ?? ''),
  campaign: onNode((node) => node.campaign()),
  propose: onNode((node, words) => node.propose(bytes(words.positional[1] ?? ''))),
  'propose-conf-change': (session, words, input) =>
    session.member(words.id).node.proposeConfChange(changeOf(words, input)),
  'read-index': onNode((node, words) => node.readIndex(bytes(words.positional[1] ?? ''))),
  'transfer-leadership': (session, words) =>
    session.member(words.count('from') ?? 0).node.transferLeader(words.count('to') ?? 0),
  'forget-leader': onNode((node) => node.forgetLeader()),
  'report-unreachable': onNode((node, words) => node.reportUnreachable(words.number(1))),
  'report-snapshot': onNode((node, words) =>
    node.reportSnapshot(words.number(1), words.positional[2] as 'finish' | 'failure'),
  ),
  'tick-election': ticking(() => ELECTION_TICK),
  'tick-heartbeat': ticking(() => HEARTBEAT_TICK),
  tick: ticking((words) => (words.positional.length > 1 ? words.number(1) : 1)),
  'set-randomized-election-timeout': onNode((node, words) =>
    setRandomizedElectionTimeout(node, words.count('timeout') ?? 0),
  ),
  'process-ready': (session, words) =>
    forEach(session, session.selected(words.ids), 'handling Ready', processReady),
  'process-append-thread': (session, words) =>
    forEach(session, session.selected(words.ids), 'processing append thread', processAppend),
  'process-apply-thread': (session, words) =>
    forEach(session, session.selected(words.ids), 'processing apply thread', processApply),
  stabilize: (session, words) => stabilize(session, session.selected(words.ids)),
  'deliver-msgs': deliver,
  'duplicate-msgs': (session, words) => {
    session.inFlight.push(...session.matching({ to: words.id, type: words.text('type') }));
  },
  'reverse-msgs': (session, words) => {
    session.inFlight.push(...session.take({ to: words.id }).toReversed());
  },
  inject: (session, _words, input) => session.inFlight.push(...parseMessages(input)),
  'send-snapshot': sendSnapshot,
  compact: (session, words, input) => {
    session.member(words.id).storage.compact(words.number(1));
    raftLog(session, words, input);
  },
  restart: (session, words) =>
    session.member(words.id).restart(words.count('applied') ?? Number.POSITIVE_INFINITY),
  bootstrap,
  'raft-log': raftLog,
  'raft-state': raftState,
  status,
  'basic-status': basicStatus,
};

const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  'add-nodes': NODE_OPTIONS,
  bootstrap: ['peers'],
  'deliver-msgs': ['drop', 'type'],
  'duplicate-msgs': ['type'],
  'propose-conf-change': ['transition', 'v1'],
  restart: ['applied'],
  'set-randomized-election-timeout': ['timeout'],
  'transfer-leadership': ['from', 'to'],
};

/** A scenario: commands that act on the same members, one after the other. */
export function startScenario(): (block: Block) => string {
  const session = new Session();
  return ({ command, input, line }) => {
    const words = new Words(command);
    const run = COMMANDS[words.name];
    if (run === undefined) throw new Error(`line ${line}: no command ${words.name}`);
    words.expectOptions(OPTIONS[words.name] ?? []);
    return session.collect(() => run(session, words, input));
  };
}
