import { ConclaveError, delay, jitter, toConclaveError } from '@conclave/kernel';
import type { Logger, Random, TimerHandle, Timers } from '@conclave/kernel';
import { agentHello, agentOpen, sessionContext, verifyTranscript } from '@conclave/sealed';
import type { AgentHello, RecipientAlgorithm } from '@conclave/sealed';
import type { AgentMessageInput, ManagerAccept, ManagerMessage, SessionInfo } from '@conclave/wire';

import { AssignmentAssembler } from '../assignment/assembler.js';
import type { Assignment, Position } from '../assignment/assembler.js';
import {
  ACCEPT_MS_MAX,
  FAREWELL_MS_MAX,
  HEARTBEAT_JITTER,
  HEARTBEAT_MS_MAX,
  HEARTBEAT_MS_MIN,
  HELD_VERSIONS_MAX,
  PROTOCOL,
} from '../limits.js';
import type { ReportOutbox } from '../tasks/report-outbox.js';
import type { ManagerConnection } from './connection.js';
import type { LogService } from './log-service.js';
import type { ManagerPlace } from './manager-book.js';

/** What a node says of itself when it opens a session. */
export interface NodeDescription {
  readonly hostname: string;
  readonly platformOs: string;
  readonly version: string;
  readonly executors: readonly string[];
}

/** What a session needs of the agent. */
export interface SessionContext {
  readonly clusterId: string;
  readonly nodeId: string;
  readonly bootId: string;
  readonly description: NodeDescription;
  readonly position: Position;
  readonly heldKeys: () => string[];
  readonly isHeld: (key: string) => boolean;
  readonly outbox: ReportOutbox;
  readonly openLogs: (send: (message: AgentMessageInput) => Promise<void>) => LogService;
  readonly onAssignment: (assignment: Assignment) => void;
  readonly onInfo: (info: SessionInfo) => void;
  /** How the key of the session is agreed on; default: the hybrid algorithm. */
  readonly algorithm?: RecipientAlgorithm | undefined;
  readonly random: Random;
  readonly timers: Timers;
  readonly logger: Logger;
}

/**
 * One stream to one manager, from Hello to its end. It believes nobody before the manager's
 * signature fits the key that the cluster has for it; an assignment is applied as a whole or, when
 * anything about it is wrong, refused as a whole, which ends the session.
 */
export class Session {
  readonly manager: ManagerPlace;
  readonly #context: SessionContext;
  readonly #connection: ManagerConnection;
  readonly #logs: LogService;
  #assembler: AssignmentAssembler | undefined;
  #sessionId = '';
  #heartbeatMs = HEARTBEAT_MS_MAX;
  #heartbeat: TimerHandle | undefined;
  #isOver = false;

  constructor(manager: ManagerPlace, connection: ManagerConnection, context: SessionContext) {
    this.manager = manager;
    this.#connection = connection;
    this.#context = context;
    this.#logs = context.openLogs((message) => connection.write(message));
  }

  /** True once the manager has proven itself. */
  get isOpen(): boolean {
    return this.#sessionId !== '' && !this.#isOver;
  }

  /** True when the manager had proven itself, also after the end. */
  get hasBeenOpen(): boolean {
    return this.#sessionId !== '';
  }

  /**
   * Runs until the stream ends or is closed.
   * @throws the reason, when it is not an orderly end
   */
  async run(): Promise<void> {
    const { timers, outbox, random, algorithm } = this.#context;
    const hello = agentHello(random, algorithm);
    const deadline = timers.after(ACCEPT_MS_MAX, () => this.close());
    try {
      await this.#sayHello(hello);
      for await (const message of this.#connection.messages) {
        if (this.#isOver) return;
        if (this.#assembler === undefined) {
          this.#accept(hello, message.accept);
          deadline.cancel();
        } else {
          await this.#receive(message);
        }
      }
      if (!this.isOpen && !this.#isOver) throw silent();
    } finally {
      deadline.cancel();
      hello.privateKey.wipe();
      if (this.#assembler !== undefined) outbox.detach();
      this.close();
    }
  }

  /** Ends the session. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#heartbeat?.cancel();
    this.#assembler?.close();
    this.#logs.close();
    this.#connection.close();
  }

  async #sayHello({ hello }: AgentHello): Promise<void> {
    const { bootId, description, position, heldKeys } = this.#context;
    const held = heldKeys()
      .slice(0, HELD_VERSIONS_MAX)
      .map((key) => {
        const [secretId = '', version = '0'] = key.split('@');
        return { secretId, version: Number(version) };
      });
    await this.#connection.write({
      hello: {
        protocol: PROTOCOL,
        kemPublicKey: hello.kemPublicKey,
        nonce: hello.nonce,
        bootId,
        ...description,
        clusterEpoch: position.epoch,
        appliedIndex: position.index,
        held,
      },
    });
  }

  #accept({ hello, privateKey }: AgentHello, accept: ManagerAccept | null | undefined): void {
    const { clusterId, nodeId, bootId, position, outbox } = this.#context;
    if (accept === null || accept === undefined) throw wrong('it does not begin with an Accept');
    if (accept.clusterId !== clusterId || accept.nodeId !== nodeId) {
      throw wrong('the manager speaks to another node');
    }
    if (accept.managerId !== this.manager.nodeId) throw wrong('another manager answers');
    const { opener, transcript } = agentOpen({
      hello,
      privateKey,
      accept: {
        ciphertext: accept.kemCiphertext,
        nonce: accept.nonce,
        header: accept.streamHeader,
      },
      binding: {
        clusterId,
        nodeId,
        agentSerial: this.#connection.agentSerial(),
        managerSerial: this.#connection.managerSerial(),
        context: sessionContext({
          protocol: PROTOCOL,
          bootId,
          clusterEpoch: position.epoch,
          appliedIndex: position.index,
          sessionId: accept.sessionId,
        }),
      },
    });
    if (!verifyTranscript(this.manager.signingPublicKey, transcript, accept.signature)) {
      opener.wipe();
      throw wrong('the signature is not the manager’s');
    }
    const { isHeld } = this.#context;
    this.#assembler = new AssignmentAssembler({ opener, position, isHeld });
    this.#sessionId = accept.sessionId;
    if (accept.info !== null) this.#takeInfo(accept.info);
    this.#beat();
    outbox.attach((message) => this.#connection.write(message));
    this.#context.logger.info('session.opened', { managerId: this.manager.nodeId });
  }

  async #receive(message: ManagerMessage): Promise<void> {
    if (message.assignments) {
      await this.#receiveAssignment(message.assignments);
    } else if (message.reportAck) {
      this.#context.outbox.acknowledge(message.reportAck.batch);
    } else if (message.logRequest) {
      this.#logs.receive(message.logRequest);
    } else if (message.info) {
      this.#takeInfo(message.info);
    } else {
      throw wrong('a message has no known content');
    }
  }

  async #receiveAssignment(chunk: NonNullable<ManagerMessage['assignments']>): Promise<void> {
    let assignment: Assignment | undefined;
    try {
      assignment = this.#assembler?.add(chunk);
    } catch (error) {
      await this.#refuse(chunk.resultsIn, toConclaveError(error));
      throw error;
    }
    if (assignment === undefined) return;
    this.#context.onAssignment(assignment);
    await this.#connection.write({ ack: { sequence: assignment.sequence, error: '' } });
  }

  /** Tells why, if the manager still listens; the end of the session does not wait for long. */
  async #refuse(sequence: number, error: ConclaveError): Promise<void> {
    const { logger, timers } = this.#context;
    logger.warn('session.assignment-refused', { code: error.code, reason: error.message });
    const cancel = new AbortController();
    const told = this.#connection.write({ ack: { sequence, error: error.message } });
    await Promise.race([
      told.catch(() => undefined),
      delay(timers, FAREWELL_MS_MAX, cancel.signal),
    ]);
    cancel.abort();
  }

  #takeInfo(info: SessionInfo): void {
    const periodMs = info.heartbeatPeriodMs;
    if (periodMs > 0) {
      this.#heartbeatMs = Math.min(HEARTBEAT_MS_MAX, Math.max(HEARTBEAT_MS_MIN, periodMs));
      // The timer that runs was set by the old period, which may be much longer.
      if (this.#heartbeat !== undefined) this.#planHeartbeat();
    }
    this.#context.onInfo(info);
  }

  #beat(): void {
    if (this.#isOver) return;
    this.#connection.write({ heartbeat: { sessionId: this.#sessionId } }).catch(() => undefined);
    this.#planHeartbeat();
  }

  #planHeartbeat(): void {
    const { timers, random } = this.#context;
    this.#heartbeat?.cancel();
    const delayMs = jitter(random, this.#heartbeatMs, HEARTBEAT_JITTER);
    this.#heartbeat = timers.after(delayMs, () => this.#beat());
  }
}

const wrong = (reason: string): ConclaveError =>
  new ConclaveError('CV_PROTOCOL', `session refused: ${reason}`);

const silent = (): ConclaveError =>
  new ConclaveError('CV_PEER_UNREACHABLE', 'the manager ended the session without an answer');
