import type { Config, ConfState, Entry, Message, MessageBase, MessageType, Term } from 'raft-ts';
import { decodeConfChange, MemoryStorage, message, RawNode } from 'raft-ts';

export interface SoloOptions extends Partial<Omit<Config, 'storage'>> {
  readonly voters?: readonly number[];
  readonly learners?: readonly number[];
  /** Terms of the log. The first entry, at index 1, is a snapshot. */
  readonly log?: readonly Term[];
  /** Current term; default: the term of the last entry. */
  readonly term?: Term;
  readonly vote?: number;
  readonly commit?: number;
}

export const ELECTION_TICK = 10;

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (data: Uint8Array): string => new TextDecoder().decode(data);

/** Entries with given terms from an index on; each one's payload tells where it is from. */
export function entriesAt(index: number, terms: readonly Term[]): Entry[] {
  return terms.map((term, i) => ({
    term,
    index: index + i,
    type: 'EntryNormal',
    data: bytes(`${term}/${index + i}`),
  }));
}

/** One node whose others are played by the test: messages in, messages out. */
export class Solo {
  readonly storage = new MemoryStorage();
  readonly applied: Entry[] = [];
  readonly reads: string[] = [];
  node: RawNode;
  readonly #config: Config;

  constructor(options: SoloOptions = {}) {
    const { voters = [1, 2, 3], learners = [], log = [1], term, vote, commit, ...config } = options;
    const confState: ConfState = {
      voters,
      votersOutgoing: [],
      learners,
      learnersNext: [],
      autoLeave: false,
    };
    const first = log[0] ?? 1;
    this.storage.applySnapshot({ data: bytes(''), metadata: { index: 1, term: first, confState } });
    this.storage.append(entriesAt(2, log.slice(1)));
    const state = { term: term ?? log.at(-1) ?? 1, vote: vote ?? 0, commit: commit ?? 1 };
    this.storage.setHardState(state);
    this.#config = {
      id: 1,
      electionTick: ELECTION_TICK,
      heartbeatTick: 1,
      maxInflightMsgs: 256,
      random: () => 0,
      ...config,
      storage: this.storage,
    };
    this.node = new RawNode(this.#config);
  }

  /** Loses everything that is not stored. */
  restart(): void {
    this.node = new RawNode(this.#config);
  }

  get state(): ReturnType<RawNode['basicStatus']> {
    return this.node.basicStatus();
  }

  /** Terms of the stored log, from index 1 on. */
  get terms(): readonly (Term | string)[] {
    const terms: (Term | string)[] = [];
    for (let i = 1; i <= this.storage.lastIndex(); i++) terms.push(this.storage.term(i));
    return terms;
  }

  /** Does all that Readys ask for. @returns what is sent to others */
  handle(): Message[] {
    const sent: Message[] = [];
    while (this.node.hasReady()) {
      const ready = this.node.ready();
      if (ready.hardState !== undefined) this.storage.setHardState(ready.hardState);
      if (ready.snapshot !== undefined) this.storage.applySnapshot(ready.snapshot);
      this.storage.append(ready.entries);
      this.reads.push(...ready.readStates.map(({ requestCtx }) => text(requestCtx)));
      for (const entry of ready.committedEntries) {
        this.applied.push(entry);
        if (entry.type !== 'EntryNormal') this.node.applyConfChange(decodeConfChange(entry));
      }
      sent.push(...ready.messages);
      this.node.advance();
    }
    return sent;
  }

  /** Hands in a message to this node. @returns what it sends then */
  receive(type: MessageType, fields: Partial<MessageBase>): Message[] {
    this.node.step(message(type, { to: 1, term: this.state.term, ...fields }) as Message);
    return this.handle();
  }

  /** An append of entries with given terms after a given place. */
  append(from: number, after: readonly [Term, number], terms: readonly Term[], commit = 0): Message[] {
    const [logTerm, index] = after;
    const entries = entriesAt(index + 1, terms);
    const term = Math.max(this.state.term, ...terms);
    return this.receive('MsgApp', { from, term, logTerm, index, entries, commit });
  }

  tick(count = 1): Message[] {
    const sent: Message[] = [];
    for (let i = 0; i < count; i++) {
      this.node.tick();
      sent.push(...this.handle());
    }
    return sent;
  }

  /** Becomes leader with the votes of others. @returns what it sends then */
  win(...voters: readonly number[]): Message[] {
    this.node.campaign();
    this.handle();
    const { preVote } = this.#config;
    const sent: Message[] = [];
    if (preVote === true) {
      const term = this.state.term + 1;
      for (const from of voters) sent.push(...this.receive('MsgPreVoteResp', { from, term }));
    }
    for (const from of voters) sent.push(...this.receive('MsgVoteResp', { from }));
    return sent;
  }

  propose(payload: string): Message[] {
    this.node.propose(bytes(payload));
    return this.handle();
  }
}

/** Messages as short texts, such as `2 MsgAppResp 5` or `2 MsgAppResp reject`. */
export function brief(messages: readonly Message[]): string[] {
  return messages.map(({ to, type, index, reject }) => {
    const what = reject ? ' reject' : index > 0 ? ` ${index}` : '';
    return `${to} ${type}${what}`;
  });
}
