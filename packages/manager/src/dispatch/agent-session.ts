import { ConclaveError, delay, toConclaveError } from '@conclave/kernel';
import type { CancelSignal } from '@conclave/kernel';
import type { FrameSealer } from '@conclave/sealed';
import type { CallContext, StreamWriter } from '@conclave/transport';
import type {
  AgentMessage,
  AssignmentAck,
  LogReplyInput,
  LogRequestInput,
  ManagerMessageInput,
} from '@conclave/wire';
import { assignmentChunks } from './assignment-chunks.js';
import { AssignmentSet } from './assignment-set.js';
import type { VersionName } from './assignment-set.js';
import type { DispatchContext } from './dispatch-context.js';
import { GATHER_MS, RETRY_MS, UNACKED_MAX } from './limits.js';
import { LogRelay } from './log-relay.js';
import type { LogQuery } from './log-relay.js';
import { SessionReports } from './session-reports.js';
import type { TakenReports } from './session-reports.js';

/** What a session is made of, once Hello and Accept have been exchanged. */
export interface AgentSessionParts {
  readonly id: string;
  readonly nodeId: string;
  readonly call: CallContext;
  readonly writer: StreamWriter<ManagerMessageInput>;
  readonly sealer: FrameSealer;
  readonly held: readonly VersionName[];
  readonly context: DispatchContext;
}

/**
 * One agent's stream on one manager: assignments down, reports up. It always moves the agent to
 * what committed state says now; changes that come while one is on its way gather into the next.
 */
export class AgentSession {
  readonly id: string;
  readonly nodeId: string;
  readonly #parts: AgentSessionParts;
  readonly #sent = new AssignmentSet();
  readonly #held: ReadonlySet<string>;
  readonly #logs: LogRelay;
  readonly #reports: SessionReports;
  readonly #end = new AbortController();
  #sequence = 0;
  #acked = 0;
  #isDirty = true;
  #wake: () => void = () => undefined;
  #lastHeardMs: number;
  #isHeard = true;

  constructor(parts: AgentSessionParts) {
    this.id = parts.id;
    this.nodeId = parts.nodeId;
    this.#parts = parts;
    this.#held = new Set(parts.held.map(({ secretId, version }) => `${secretId}@${version}`));
    this.#logs = new LogRelay((logRequest) => this.#sendLogRequest(logRequest));
    this.#reports = new SessionReports(parts.nodeId, parts.context, this.#end.signal);
    this.#lastHeardMs = parts.context.clock.monotonic();
  }

  /** True when something was heard since the last question. */
  takeHeard(): boolean {
    const isHeard = this.#isHeard;
    this.#isHeard = false;
    return isHeard;
  }

  /** Milliseconds since the agent was heard of. */
  get silenceMs(): number {
    return this.#parts.context.clock.monotonic() - this.#lastHeardMs;
  }

  /** Says that the assignment of the node may have changed. */
  touch(): void {
    this.#isDirty = true;
    this.#wake();
  }

  /** Ends the session with a reason that the agent is told. */
  cut(reason: ConclaveError): void {
    this.#end.abort(reason);
  }

  /** Sends what an agent should know of the cluster. */
  async sendInfo(): Promise<void> {
    await this.#parts.writer.write({ info: this.#parts.context.sessionInfo(this.nodeId) });
  }

  /** Output of a task of this node. */
  logs(query: LogQuery, signal?: CancelSignal): AsyncGenerator<LogReplyInput> {
    return this.#logs.request(query, signal);
  }

  /** Runs until the agent goes, the call is cut, or a newer session replaces it. */
  async run(messages: AsyncIterator<AgentMessage>): Promise<void> {
    const { signal } = this.#parts.call;
    const onGone = (): void => this.#end.abort(signal.reason);
    signal.addEventListener('abort', onGone, { once: true });
    const ended = new Promise<never>((_, reject) => {
      this.#end.signal.addEventListener(
        'abort',
        () => {
          this.#wake();
          reject(this.#end.signal.reason as Error);
        },
        { once: true },
      );
    });
    // A signal that has fired calls nobody any more.
    if (signal.aborted) onGone();
    try {
      await Promise.race([this.#readAll(messages), this.#deliverAll(), ended]);
    } finally {
      signal.removeEventListener('abort', onGone);
      ended.catch(() => undefined);
      this.#end.abort(new ConclaveError('CV_SESSION_INVALID', 'the session has ended'));
      this.#logs.close();
      this.#parts.sealer.wipe();
    }
  }

  async #readAll(messages: AsyncIterator<AgentMessage>): Promise<void> {
    for (;;) {
      const next = await messages.next();
      if (next.done === true) return;
      this.#lastHeardMs = this.#parts.context.clock.monotonic();
      this.#isHeard = true;
      await this.#receive(next.value);
    }
  }

  async #receive(message: AgentMessage): Promise<void> {
    if (message.heartbeat) {
      if (message.heartbeat.sessionId !== this.id) {
        throw new ConclaveError('CV_ARGUMENT_INVALID', 'the heartbeat names another session');
      }
    } else if (message.taskReports) {
      const { batch, reports } = message.taskReports;
      await this.#acknowledge(batch, await this.#reports.takeTasks(reports));
    } else if (message.receiptReports) {
      const { batch, reports } = message.receiptReports;
      await this.#acknowledge(batch, await this.#reports.takeReceipts(reports));
    } else if (message.ack) {
      this.#receiveAck(message.ack);
    } else if (message.logReply) {
      this.#logs.receive(message.logReply);
    } else {
      throw new ConclaveError('CV_PROTOCOL', 'a message of the agent has no known content');
    }
  }

  /** Answers when the reports are committed; reading goes on meanwhile unless too many wait. */
  async #acknowledge(batch: number, { committed, isFull }: TakenReports): Promise<void> {
    const onCommitted = async (): Promise<void> => {
      if (this.#end.signal.aborted) return;
      await this.#parts.writer.write({ reportAck: { batch } });
    };
    const answered = committed.then(onCommitted, (error: unknown) => {
      this.cut(toConclaveError(error));
    });
    // A stream that ended meanwhile is noticed by the reader.
    answered.catch(() => undefined);
    if (isFull) await answered;
  }

  #receiveAck(ack: AssignmentAck): void {
    if (ack.error !== '') {
      this.#parts.context.logger.warn('session.assignment-refused', {
        nodeId: this.nodeId,
        reason: ack.error,
      });
      throw new ConclaveError('CV_PROTOCOL', 'the agent refused an assignment; it may start anew');
    }
    if (ack.sequence > this.#sequence) {
      throw new ConclaveError('CV_PROTOCOL', 'the agent acknowledged what was not sent');
    }
    this.#acked = Math.max(this.#acked, ack.sequence);
    this.#wake();
  }

  async #deliverAll(): Promise<void> {
    const { context } = this.#parts;
    while (!this.#end.signal.aborted) {
      if (!this.#isDirty || this.#sequence - this.#acked >= UNACKED_MAX) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      if (this.#sequence > 0) await delay(context.timers, GATHER_MS, this.#end.signal);
      try {
        await context.lease.hold();
      } catch {
        // No leader: nothing new is delivered, what the agent holds stays. Asked again soon.
        await delay(context.timers, RETRY_MS, this.#end.signal);
        continue;
      }
      this.#isDirty = false;
      await this.#deliver();
    }
  }

  async #deliver(): Promise<void> {
    const { context, writer, sealer } = this.#parts;
    const state = context.state();
    const wanted = state.assignments(this.nodeId);
    const difference = this.#sent.advance(wanted);
    // The first assignment of a session is complete even when it is empty: the agent learns so
    // what it must not have any more.
    if (difference === undefined && this.#sequence > 0) return;
    const appliesTo = this.#sequence;
    this.#sequence += 1;
    const chunks = assignmentChunks({
      kind: appliesTo === 0 ? 'complete' : 'incremental',
      appliesTo,
      resultsIn: this.#sequence,
      wanted,
      difference: difference ?? { tasks: [], tasksRemoved: [], versions: [], versionsRemoved: [] },
      state: context.state,
      ring: context.ring,
      sealer,
      isHeld: ({ secretId, version }) =>
        appliesTo === 0 && this.#held.has(`${secretId}@${version}`),
    });
    for (const assignments of chunks) await writer.write({ assignments });
  }

  #sendLogRequest(logRequest: LogRequestInput): void {
    if (this.#end.signal.aborted) return;
    this.#parts.writer.write({ logRequest }).catch(() => undefined);
  }
}
