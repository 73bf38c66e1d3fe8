import type { CancelSignal, Clock, Logger, Random } from '@conclave/kernel';
import type { KeyRing } from '@conclave/sealed';
import type { Actor, Command, CommandResult, State } from '@conclave/state';
import type { LogChunkInput, ServiceLogsRequest } from '@conclave/wire';
import type { IssuedCertificate, IssueSubject } from '../identity/issuer.js';
import type { StatusSource } from './status-source.js';

/** The part of the key ring that the control API uses. */
export type ControlRing = Pick<
  KeyRing,
  'currentKeyId' | 'versions' | 'sealValue' | 'digestValue' | 'openIntake' | 'intakePublicKey'
>;

/** Who calls, and what came with the call besides the message. */
export interface CallContext {
  readonly actor: Actor;
  /** The node whose daemon took the call over its socket: what "self" means; else empty. */
  readonly selfNodeId: string;
  /** From the metadata; a key in the message comes first. */
  readonly idempotencyKey?: string | undefined;
  /** Fires when the caller has gone; ends streams. */
  readonly signal?: CancelSignal | undefined;
}

/** What the control API works with. Writes need the leader; reads run on any manager. */
export interface ControlDependencies {
  readonly state: () => State;
  /** Calls when a snapshot has replaced the whole state. Returns the way to stop. */
  readonly onReplaced: (callback: () => void) => () => void;
  /** @throws CV_NO_LEADER while this manager does not hold the ring */
  readonly ring: () => ControlRing;
  /**
   * Commits a command and answers what apply said.
   * @throws CV_NOT_LEADER, CV_NO_LEADER, CV_OUTCOME_UNKNOWN, CV_QUEUE_FULL
   */
  readonly propose: (command: Command) => Promise<CommandResult>;
  /** Waits until the state shows everything that was committed before the call. */
  readonly readIndex: () => Promise<void>;
  /** SHA-256 of the public key info of the root certificate: 32 bytes. */
  readonly rootPin: () => Uint8Array;
  /**
   * Takes a manager out of the quorum; resolves when the configuration is committed.
   * @throws CV_LAST_MANAGER when the quorum would be lost
   */
  readonly removeMember: (nodeId: string) => Promise<void>;
  /**
   * Resolves when a manager that is being demoted is a worker.
   * @throws CV_DEADLINE when that takes too long; it goes on by itself
   */
  readonly awaitDemotion: (nodeId: string) => Promise<void>;
  /**
   * Signs a certificate with the key of the root; records nothing.
   * @throws CV_NOT_INITIALIZED while this manager does not hold the ring
   */
  readonly issue: (subject: IssueSubject) => Promise<IssuedCertificate>;
  readonly status: StatusSource;
  /** The output of tasks, from the managers that have their agents. */
  readonly logs: (request: ServiceLogsRequest, call: CallContext) => AsyncIterable<LogChunkInput>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Of this daemon. */
  readonly version: string;
}
