import type { Config, LogLevel } from './config.js';
import { RaftLog } from './log.js';
import type { Message } from './message-types.js';
import type { MessageDraft } from './messages.js';
import type { Bytes, Index, NodeId, Term, Ticks } from './numbers.js';
import { MAX_INDEX, NONE } from './numbers.js';
import { ReadOnly } from './read-only.js';
import { Reporter } from './reporter.js';
import type { Settings } from './settings.js';
import { settingsOf } from './settings.js';
import { Tracker } from './tracker.js';
import type { ReadState, StateType } from './types.js';

/**
 * The state of a node, and what every role does with it: sending and starting over. The roles
 * themselves are functions over this state, one file for each concern.
 */
export class RaftCore {
  readonly id: NodeId;
  readonly settings: Settings;
  readonly log: RaftLog;
  readonly tracker: Tracker;
  readonly #reporter: Reporter;

  term: Term = 0;
  vote: NodeId = NONE;
  lead: NodeId = NONE;
  role: StateType = 'StateFollower';
  isLearner = false;
  leadTransferee: NodeId = NONE;

  electionElapsed: Ticks = 0;
  heartbeatElapsed: Ticks = 0;
  randomizedElectionTimeout: Ticks = 0;

  /** Of a leader: no change may be proposed before this index is applied. */
  pendingConfIndex: Index = 0;
  /** Of a leader: estimated payload in the uncommitted tail of the log. */
  uncommittedSize: Bytes = 0;
  reads: ReadOnly = new ReadOnly();
  /** Read requests that wait for the first commit of this leader's term. */
  postponedReads: Message[] = [];

  /** To be sent with the next Ready. */
  messages: Message[] = [];
  /** To be sent after what the next Ready has to be written is durable. */
  messagesAfterAppend: Message[] = [];
  readStates: ReadState[] = [];

  /**
   * @param config checked here
   * @throws ConfigError
   */
  constructor(config: Config) {
    this.settings = settingsOf(config);
    this.id = config.id;
    this.#reporter = new Reporter(config.logger);
    const { maxCommittedSizePerReady, maxInflightMsgs, maxInflightBytes } = this.settings;
    this.log = new RaftLog(config.storage, this.#reporter, maxCommittedSizePerReady);
    this.tracker = new Tracker({ maxInflightMsgs, maxInflightBytes });
  }

  /** Whether log lines of a level are wanted; asked before a text is put together. */
  wants(level: LogLevel): boolean {
    return this.#reporter.wants(level);
  }

  /** Writes a log line. */
  write(level: LogLevel, text: string): void {
    this.#reporter.write(level, text);
  }

  /** Reports a violated invariant. @throws RaftInvariantError always */
  fail(text: string): never {
    return this.#reporter.fail(text);
  }

  /**
   * Puts a message into the next Ready. Answers to appends and votes wait for the writes of that
   * Ready, and so do vote requests, which claim a term, a vote and a log.
   */
  send(message: MessageDraft): void {
    if (message.from === NONE) message.from = this.id;
    let waitsForWrites = false;
    switch (message.type) {
      case 'MsgVote':
        waitsForWrites = this.settings.deferVoteRequests && this.settings.asyncStorageWrites;
        break;
      case 'MsgVoteResp':
      case 'MsgPreVoteResp':
        waitsForWrites = true;
        break;
      case 'MsgPreVote':
        break;
      case 'MsgProp':
      case 'MsgReadIndex':
        // Passed on to the leader, whatever its term is.
        message.term = 0;
        break;
      case 'MsgAppResp':
        waitsForWrites = true;
        message.term = this.term;
        break;
      default:
        message.term = this.term;
    }
    const sent = message as Message;
    (waitsForWrites ? this.messagesAfterAppend : this.messages).push(sent);
    this.settings.trace?.({ kind: 'send', id: this.id, message: sent });
  }

  /** Starts over in a term: nobody leads, nobody voted, nothing is known about followers. */
  reset(term: Term): void {
    if (this.term !== term) {
      if (term > MAX_INDEX) this.fail(`the term would grow beyond ${MAX_INDEX}`);
      this.term = term;
      this.vote = NONE;
    }
    this.lead = NONE;
    this.electionElapsed = 0;
    this.heartbeatElapsed = 0;
    const { electionTick, random } = this.settings;
    this.randomizedElectionTimeout = electionTick + random(electionTick);
    this.leadTransferee = NONE;
    this.tracker.resetVotes();
    const last = this.log.lastIndex();
    for (const [id, progress] of this.tracker.progress) {
      progress.reset(id === this.id ? last : 0, last + 1);
    }
    this.pendingConfIndex = 0;
    this.uncommittedSize = 0;
    this.reads = new ReadOnly();
  }
}
