import { describeEntries, describeMessage, describeReady } from '../../describe.js';
import { describeChange, injectable } from './script-text.js';
import { RaftError, RaftInvariantError } from '../../errors.js';
import type { Message } from '../../message-types.js';
import { message as makeMessage } from '../../messages.js';
import { isLocalThread } from '../../numbers.js';
import type { Index, NodeId } from '../../numbers.js';
import type { Ready } from '../../ready-types.js';
import type { ConfChange, Entry } from '../../types.js';
import type { SubjectNode } from '../subject.js';
import { Flight } from './flight.js';
import type { PayloadNames } from './payload-names.js';

/** Longer scripts are not for people. */
const BLOCKS_MAX = 1_500;

/** A command of a script with what it prints. */
export interface ScriptBlock {
  readonly comments: readonly string[];
  readonly command: string;
  readonly input: readonly string[];
  /** Lines; none: `ok`. */
  readonly output: string[];
}

/** What a journal needs to know of a member. */
export interface JournalMember {
  readonly id: NodeId;
  readonly core: { readonly role: string; readonly term: number; readonly leadTransferee: NodeId };
}

/**
 * Writes down a run in bare mode as commands of the conformance format, with their outputs: what is
 * done to the nodes, in order, without times. Messages that arrive in another order than they were
 * sent, or twice, are dropped and injected.
 */
export class ScriptJournal {
  readonly blocks: ScriptBlock[] = [];
  /** Why the run cannot be written down; undefined: it can, so far. */
  misfit: string | undefined = undefined;
  readonly #names: PayloadNames;
  readonly #flight = new Flight();
  readonly #open = new Set<NodeId>();
  /** The commit indexes that are stored. */
  readonly #commits = new Map<NodeId, Index>();
  #comments: string[] = [];

  /** @param names of payloads */
  constructor(names: PayloadNames) {
    this.#names = names;
  }

  /** The run cannot be written down. */
  refuse(reason: string): void {
    this.misfit ??= reason;
  }

  /** What comes next, in words. */
  comment(text: string): void {
    this.#comments.push(text);
  }

  /** Adds a command. @returns the block, whose output may grow */
  command(command: string, input: readonly string[] = [], output: string = ''): ScriptBlock {
    const block = { comments: this.#comments, command, input, output: linesOf(output) };
    this.#comments = [];
    if (this.blocks.length >= BLOCKS_MAX) this.refuse(`it has more than ${BLOCKS_MAX} commands`);
    else this.blocks.push(block);
    return block;
  }

  /** Calls a node, and notes how it refuses. */
  attempt(block: ScriptBlock, call: () => void): void {
    try {
      call();
    } catch (error) {
      if (error instanceof RaftError) {
        const isFatal = error instanceof RaftInvariantError;
        block.output.push(isFatal ? `FAILED: ${error.message}` : error.message);
      }
      throw error;
    }
  }

  /** Lets a tick pass. One that does nothing is not part of a script. */
  tick({ id, core }: JournalMember, sentCount: () => number, tick: () => void): void {
    const { role, term, leadTransferee } = core;
    const before = sentCount();
    tick();
    if (sentCount() === before && core.term === term && core.role === role) return;
    this.#expectClosed(id);
    if (role === 'StateLeader' && leadTransferee !== 0) {
      this.refuse('a transfer of leadership is given up by the clock');
    }
    this.command(role === 'StateLeader' ? `tick-heartbeat ${id}` : `campaign ${id}`);
  }

  /** Hands in a message from the network. */
  receive(message: Message, step: () => void): void {
    const { to } = message;
    this.#expectClosed(to);
    const text = this.#text(message);
    const arrival = this.#flight.arrive(message);
    if (arrival.kind === 'inject') {
      this.#drop(to, arrival.dropped);
      const input = injectable(message, text);
      if (input === undefined) this.refuse(`a message cannot be written down: ${text}`);
      else this.command('inject', input.split('\n'));
    }
    const type =
      arrival.kind === 'deliver' && arrival.type !== undefined ? ` type=${arrival.type}` : '';
    this.attempt(this.command(`deliver-msgs ${to}${type}`, [], text), step);
  }

  /** A node hands out work. */
  ready(id: NodeId, ready: Ready, isAsync: boolean): void {
    this.command(`process-ready ${id}`, [], describeReady(this.#names.ready(ready)));
    if (!isAsync && ready.hardState !== undefined) this.#commits.set(id, ready.hardState.commit);
    this.#flight.add(ready.messages.filter(({ to }) => !isLocalThread(to)));
  }

  /** Synchronous storage: a node has handed out work and waits for it to be done. */
  opened(id: NodeId): void {
    this.#open.add(id);
  }

  /** The work is done. */
  closed(id: NodeId): void {
    this.#open.delete(id);
  }

  /**
   * A storage thread has done a piece of work.
   *
   * @param step hands in the answers that are for the node; undefined: it does not live to see them
   */
  worked(work: Message, step: (() => void) | undefined): void {
    const { from: id, type, responses } = work;
    const own = responses.filter(({ to }) => to === id);
    if (own.length > 0) this.#drop(id, this.#flight.drop(id));
    const isAppend = type === 'MsgStorageAppend';
    const alone = this.#text(makeMessage(type, { ...work, responses: [] }));
    const lines = ['Processing:', alone, 'Responses:', ...responses.map((m) => this.#text(m))];
    this.command(`process-${isAppend ? 'append' : 'apply'}-thread ${id}`, [], lines.join('\n'));
    if (isAppend && work.term > 0) this.#commits.set(id, work.commit);
    this.#flight.add(responses);
    if (step === undefined) return;
    if (own.length === 0) {
      step();
      return;
    }
    this.#flight.drop(id);
    const texts = own.map((message) => this.#text(message)).join('\n');
    this.attempt(this.command(`deliver-msgs ${id}`, [], texts), step);
  }

  /** A node dies; `isExact`: each write is there as a whole or not at all, and none is missing. */
  crashed(id: NodeId, isExact: boolean): void {
    if (!isExact) this.refuse('a crash keeps a part of a write, or loses one that was not synced');
    this.#open.delete(id);
  }

  /** A node starts again with what is stored. */
  restart(id: NodeId, applied: Index, commit: Index): void {
    const known = this.#commits.get(id) ?? commit;
    if (known !== commit) this.refuse('a stored snapshot has raised the commit index');
    this.command(`restart ${id} applied=${applied}`);
  }

  /** A part of a stored log is discarded. */
  compact(id: NodeId, index: Index, rest: readonly Entry[]): void {
    const isEmpty = rest.length === 0;
    const bounds = `first index=${index + 1}, last index=${index}`;
    const text = isEmpty ? `log is empty: ${bounds}` : describeEntries(this.#names.entries(rest));
    this.command(`compact ${id} ${index}`, [], text);
  }

  /** A node whose calls are written down. */
  recording(id: NodeId, node: SubjectNode): SubjectNode {
    const noted = (command: string, call: () => void, input: readonly string[] = []): void => {
      this.#expectClosed(id);
      this.attempt(this.command(command, input), call);
    };
    return {
      campaign: () => noted(`campaign ${id}`, () => node.campaign()),
      forgetLeader: () => noted(`forget-leader ${id}`, () => node.forgetLeader()),
      propose: (data) =>
        noted(`propose ${id} ${this.#names.textOf(data)}`, () => node.propose(data)),
      proposeConfChange: (change: ConfChange) => {
        const { options, steps } = describeChange(change);
        const command = `propose-conf-change ${id}${options}`;
        noted(command, () => node.proposeConfChange(change), steps === '' ? [] : [steps]);
      },
      readIndex: (context) =>
        noted(`read-index ${id} ${this.#names.textOf(context)}`, () => node.readIndex(context)),
      reportSnapshot: (peer, status) =>
        noted(`report-snapshot ${id} ${peer} ${status}`, () => node.reportSnapshot(peer, status)),
      reportUnreachable: (peer) =>
        noted(`report-unreachable ${id} ${peer}`, () => node.reportUnreachable(peer)),
      transferLeader: (peer) =>
        noted(`transfer-leadership from=${id} to=${peer}`, () => node.transferLeader(peer)),
    };
  }

  #expectClosed(id: NodeId): void {
    if (!this.#open.has(id)) return;
    this.refuse('something happens while a synchronous write is under way');
  }

  #drop(to: NodeId, dropped: readonly Message[]): void {
    if (dropped.length === 0) return;
    const texts = dropped.map((message) => `dropped: ${this.#text(message)}`);
    this.command(`deliver-msgs drop=(${to})`, [], texts.join('\n'));
  }

  #text(message: Message): string {
    return describeMessage(this.#names.message(message));
  }
}

function linesOf(output: string): string[] {
  return output === '' ? [] : output.replace(/\n$/, '').split('\n');
}
