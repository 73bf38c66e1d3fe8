import type { RaftCore } from './core.js';
import type { Message } from './message-types.js';
import type { MessageDraft } from './messages.js';
import { draft, NO_ENTRIES, NO_MESSAGES } from './messages.js';
import { LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD } from './numbers.js';
import type { Ready } from './ready-types.js';
import { endOf, entriesSize } from './sizes.js';
import type { Entry, HardState, ReadState, SoftState } from './types.js';

const NO_READ_STATES: readonly ReadState[] = Object.freeze([]);

type ReadyDraft = { -readonly [K in keyof Ready]: Ready[K] };

/** Puts together what a node hands out, and keeps what was handed out last. */
export class ReadyMaker {
  readonly #core: RaftCore;
  readonly #isAsync: boolean;
  #softState: SoftState;
  #hardState: HardState;
  /** Synchronous mode: messages to itself, to be handled when the Ready is done. */
  #stepsOnAdvance: readonly Message[] = [];

  /** @param core a node that has just been created */
  constructor(core: RaftCore) {
    this.#core = core;
    this.#isAsync = core.settings.asyncStorageWrites;
    this.#softState = { lead: core.lead, raftState: core.role };
    this.#hardState = { term: core.term, vote: core.vote, commit: core.log.committed };
  }

  /** Makes the next Ready contain the hard state, whatever it is. */
  forgetHardState(): void {
    this.#hardState = { term: 0, vote: 0, commit: 0 };
  }

  /** Whether there is anything to hand out. */
  hasReady(): boolean {
    const core = this.#core;
    return (
      core.messages.length > 0 ||
      core.messagesAfterAppend.length > 0 ||
      core.readStates.length > 0 ||
      core.log.unstable.hasNextEntries() ||
      core.log.hasNextCommitted(!this.#isAsync) ||
      core.log.unstable.nextSnapshot() !== undefined ||
      !this.#isSoftStateKnown() ||
      !this.#isHardStateKnown()
    );
  }

  #isSoftStateKnown(): boolean {
    const { lead, raftState } = this.#softState;
    return lead === this.#core.lead && raftState === this.#core.role;
  }

  #isHardStateKnown(): boolean {
    const { term, vote, log } = this.#core;
    const known = this.#hardState;
    return term === known.term && vote === known.vote && log.committed === known.commit;
  }

  /** The next Ready as a copy: what happens later does not change it. */
  peek(): Ready {
    const ready = this.make();
    return { ...ready, messages: ready.messages.slice(), readStates: ready.readStates.slice() };
  }

  /** The next Ready, to be accepted at once: its lists are those of the node. */
  make(): Ready {
    const core = this.#core;
    const { log, term, vote } = core;
    const entries = log.unstable.hasNextEntries() ? log.unstable.nextEntries() : NO_ENTRIES;
    const isNewTermOrVote = term !== this.#hardState.term || vote !== this.#hardState.vote;
    const ready: ReadyDraft = {
      softState: this.#isSoftStateKnown() ? undefined : { lead: core.lead, raftState: core.role },
      hardState: this.#isHardStateKnown() ? undefined : { term, vote, commit: log.committed },
      readStates: core.readStates.length > 0 ? core.readStates : NO_READ_STATES,
      entries,
      snapshot: log.unstable.nextSnapshot(),
      committedEntries: log.nextCommitted(!this.#isAsync),
      messages: NO_MESSAGES,
      mustSync: entries.length > 0 || isNewTermOrVote,
    };
    ready.messages = this.#isAsync ? this.#withStorageMessages(ready) : this.#withLateMessages();
    return ready;
  }

  /** Synchronous mode: the host sends nothing before it has written. */
  #withLateMessages(): readonly Message[] {
    const { id, messages, messagesAfterAppend } = this.#core;
    // An empty list stays with the node, which adds to it.
    if (messagesAfterAppend.length === 0) return messages.length > 0 ? messages : NO_MESSAGES;
    return messages.concat(messagesAfterAppend.filter(({ to }) => to !== id));
  }

  /** Asynchronous mode: work for the storage threads, with what may be sent after it. */
  #withStorageMessages(ready: Ready): readonly Message[] {
    const core = this.#core;
    const { hardState, snapshot, entries, committedEntries } = ready;
    const messages = core.messages.slice();
    const hasWrites = hardState !== undefined || snapshot !== undefined || entries.length > 0;
    if (hasWrites || core.messagesAfterAppend.length > 0) {
      const append = draft('MsgStorageAppend', LOCAL_APPEND_THREAD);
      append.from = core.id;
      append.entries = entries;
      append.snapshot = snapshot;
      if (hardState !== undefined) {
        append.term = hardState.term;
        append.vote = hardState.vote;
        append.commit = hardState.commit;
      }
      append.responses = this.#appendResponses();
      messages.push(append as Message);
    }
    if (committedEntries.length > 0) {
      const apply = draft('MsgStorageApply', LOCAL_APPLY_THREAD);
      apply.from = core.id;
      apply.entries = committedEntries;
      apply.responses = [this.#applyAnswer(committedEntries) as Message];
      messages.push(apply as Message);
    }
    return messages;
  }

  #appendResponses(): readonly Message[] {
    const { messagesAfterAppend } = this.#core;
    // After the node's own acknowledgment, which is what commits wait for.
    if (this.#needsAppendAnswer()) {
      return messagesAfterAppend.concat(this.#appendAnswer() as Message);
    }
    return messagesAfterAppend.length > 0 ? messagesAfterAppend : NO_MESSAGES;
  }

  /**
   * Every write is acknowledged as long as anything is unstable, not only the one that contains
   * it: the acknowledgment of that one does not count if the term changes before it comes.
   */
  #needsAppendAnswer(): boolean {
    const { unstable } = this.#core.log;
    return unstable.length > 0 || unstable.nextSnapshot() !== undefined;
  }

  /** Says that the log up to its present end is durable, provided that the term is the same. */
  #appendAnswer(): MessageDraft {
    const { id, term, log } = this.#core;
    const answer = draft('MsgStorageAppendResp', id);
    answer.from = LOCAL_APPEND_THREAD;
    answer.term = term;
    if (log.unstable.length > 0) {
      const last = log.lastId();
      answer.index = last.index;
      answer.logTerm = last.term;
    }
    answer.snapshot = log.unstable.nextSnapshot();
    return answer;
  }

  /** Applied is applied, in any term. */
  #applyAnswer(entries: readonly Entry[]): MessageDraft {
    const answer = draft('MsgStorageApplyResp', this.#core.id);
    answer.from = LOCAL_APPLY_THREAD;
    answer.entries = entries;
    return answer;
  }

  /** Notes that a Ready, the last one made, was handed out. */
  accept(ready: Ready): void {
    const core = this.#core;
    if (ready.softState !== undefined) this.#softState = ready.softState;
    if (ready.hardState !== undefined) this.#hardState = ready.hardState;
    if (ready.readStates.length > 0) core.readStates = [];
    if (!this.#isAsync) this.#acceptSteps(ready);
    if (core.messages.length > 0) core.messages = [];
    if (core.messagesAfterAppend.length > 0) core.messagesAfterAppend = [];
    core.log.unstable.acceptInProgress();
    const { committedEntries } = ready;
    if (committedEntries.length > 0) {
      const last = endOf(committedEntries) - 1;
      core.log.acceptApplying(last, entriesSize(committedEntries), !this.#isAsync);
    }
    core.settings.trace?.({ kind: 'ready', id: core.id, ready });
  }

  #acceptSteps(ready: Ready): void {
    const core = this.#core;
    if (this.#stepsOnAdvance.length > 0) {
      core.fail('two accepted Ready structs without call to Advance');
    }
    const steps = core.messagesAfterAppend.filter(({ to }) => to === core.id);
    if (this.#needsAppendAnswer()) steps.push(this.#appendAnswer() as Message);
    if (ready.committedEntries.length > 0) {
      steps.push(this.#applyAnswer(ready.committedEntries) as Message);
    }
    this.#stepsOnAdvance = steps;
  }

  /** What the node has to handle now that the last Ready is done. */
  takeSteps(): readonly Message[] {
    const steps = this.#stepsOnAdvance;
    this.#stepsOnAdvance = [];
    return steps;
  }
}
