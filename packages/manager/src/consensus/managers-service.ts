import { ConclaveError, toConclaveError } from '@conclave/kernel';
import type { Clock, Logger } from '@conclave/kernel';
import type { CertificateIdentity } from '@conclave/pki';
import { encodeFields, sealToRecipient, spend } from '@conclave/sealed';
import type { Random } from '@conclave/kernel';
import { decodeCommand } from '@conclave/state';
import type { Command, State } from '@conclave/state';
import type { CallContext, Handlers } from '@conclave/transport';
import type {
  GetRingResponseInput,
  LogReplyInput,
  LogRequest,
  ProposeOutcomeInput,
  ProposeRequest,
  ProposeResponseInput,
  Services,
  SessionsRequest,
  SessionsResponseInput,
  StateMark as WireMark,
  StateMarkInput,
} from '@conclave/wire';
import type { ManagerKeys } from '../keys/manager-keys.js';
import { encodeFailure, encodeResult } from './result-codec.js';
import type { ProposedResult } from './raft-host.js';
import type { StateMark } from './state-marks.js';

/** What managers ask each other is answered with. */
export interface ManagersServiceOptions {
  readonly state: () => State;
  /** Compares the state of another manager with that of this one, and answers the latter. */
  readonly compare: (managerId: string, theirs: StateMark) => StateMark;
  readonly keys: ManagerKeys;
  readonly propose: (command: Command, signal: AbortSignal) => Promise<ProposedResult>;
  /** On the leader: hears which sessions live with which manager. */
  readonly beat: (managerId: string, sessions: SessionsRequest) => Promise<readonly string[]>;
  /** Resolves when the state shows all that was committed before this manager started. */
  readonly confirmed: () => Promise<unknown>;
  /** Resolves when the state shows all that was committed before. @throws CV_NO_LEADER */
  readonly confirm: () => Promise<unknown>;
  readonly taskLogs: (request: LogRequest, signal: AbortSignal) => AsyncIterable<LogReplyInput>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Commands that only a cluster's founder writes, never through another manager. */
const FOUNDING = new Set<Command['kind']>(['cluster.create']);

/** What a ring is sealed for: this manager, by the certificate with which it asked. */
export interface RingDelivery {
  readonly clusterId: string;
  readonly nodeId: string;
  readonly serial: string;
  /** Of the ring. */
  readonly generation: number;
}

/** What a delivered ring is bound to. */
export function ringContext({ clusterId, nodeId, serial, generation }: RingDelivery): Uint8Array {
  return encodeFields(['CV-RING-2', clusterId, nodeId, serial, generation]);
}

/** The service between managers. */
export class ManagersService implements Handlers<Services['Managers']> {
  readonly #options: ManagersServiceOptions;

  constructor(options: ManagersServiceOptions) {
    this.#options = options;
  }

  /**
   * Each command has an outcome of its own: one that failed says nothing about the others.
   * @throws CV_ROLE_FORBIDDEN when only tables of before the start took the caller for a manager, or
   *   somebody else may have it: it leaves the quorum without a say
   */
  async propose(call: CallContext, request: ProposeRequest): Promise<ProposeResponseInput> {
    await this.#options.confirmed();
    const state = this.#options.state();
    const { id: callerId } = callerOf(call);
    // Others that are on their way out still carry out what is asked of them.
    const isEvicted = state.cluster()?.compromise?.evicted.some(({ id }) => id === callerId);
    if (isEvicted === true || state.nodeById(callerId)?.manager === undefined) {
      throw new ConclaveError('CV_ROLE_FORBIDDEN', 'the caller is not a manager any more');
    }
    const outcomes = request.commands.map((bytes) => this.#proposeOne(bytes, call.signal));
    return { outcomes: await Promise.all(outcomes) };
  }

  async #proposeOne(bytes: Uint8Array, signal: AbortSignal): Promise<ProposeOutcomeInput> {
    try {
      const command = decodeCommand(bytes);
      if (FOUNDING.has(command.kind)) {
        throw new ConclaveError('CV_ROLE_FORBIDDEN', 'this command is not for a running cluster');
      }
      // Times in the log are the leader's: one clock, however many managers take requests.
      const stamped = { ...command, atMs: this.#options.clock.now() };
      const { index, result } = await this.#options.propose(stamped, signal);
      return { index, result: encodeResult(result) };
    } catch (error) {
      const known = toConclaveError(error);
      if (known.kind === 'defect') this.#options.logger.error('managers.propose-failed', { error });
      return encodeFailure(known);
    }
  }

  /** @throws CV_NOT_LEADER */
  async beat(call: CallContext, request: SessionsRequest): Promise<SessionsResponseInput> {
    return { invalid: await this.#options.beat(callerOf(call).id, request) };
  }

  /**
   * The ring, sealed to the static key in the caller's own record. A manager that was removed keeps
   * its certificate: tables that do not say so yet give it nothing.
   */
  async getRing(call: CallContext): Promise<GetRingResponseInput> {
    await this.#options.confirm();
    const state = this.#options.state();
    const cluster = state.cluster();
    const { id: nodeId, serial } = callerOf(call);
    const node = state.nodeById(nodeId);
    if (cluster === undefined || node?.manager === undefined) {
      throw new ConclaveError('CV_STATE_STALE', 'this manager does not know the caller yet');
    }
    if (node.manager.membership === 'removing') {
      throw new ConclaveError('CV_ROLE_FORBIDDEN', 'this manager is on its way out');
    }
    const ring = this.#options.keys.requireRing();
    const { generation } = ring;
    const { staticPublicKey: publicKey } = node.manager;
    const context = ringContext({ clusterId: cluster.id, nodeId, serial, generation });
    const { random } = this.#options;
    const sealedRing = spend(ring.encode(), (plaintext) =>
      sealToRecipient({ publicKey, context, plaintext, random }),
    );
    return { sealedRing, generation, serial };
  }

  /** Both sides hear what the other one has. */
  compareState(call: CallContext, theirs: WireMark): Promise<StateMarkInput> {
    return Promise.resolve(this.#options.compare(callerOf(call).id, theirs));
  }

  /** Output of a task whose agent has its session here. */
  taskLogs(call: CallContext, request: LogRequest): AsyncIterable<LogReplyInput> {
    return this.#options.taskLogs(request, call.signal);
  }
}

function callerOf(call: CallContext): CertificateIdentity {
  if (call.peer.kind === 'certificate') return call.peer.identity;
  throw new ConclaveError('CV_UNAUTHENTICATED', 'this call needs the certificate of a manager');
}
