import type { Config } from './config.js';

/** Base of all errors of this package. `code` is the contract, the text is for people. */
export abstract class RaftError extends Error {
  abstract readonly code: string;
}

/** Why a proposal was not accepted. */
export type ProposalDroppedReason =
  'noLeader' | 'forwardingDisabled' | 'notMember' | 'transferInProgress' | 'uncommittedLimit';

/** A proposal is certainly not in the log of this node and was not forwarded. */
export class ProposalDroppedError extends RaftError {
  override readonly name = 'ProposalDroppedError';
  readonly code = 'PROPOSAL_DROPPED';
  readonly reason: ProposalDroppedReason;

  /** @param reason why it was refused */
  constructor(reason: ProposalDroppedReason) {
    super('raft proposal dropped');
    this.reason = reason;
  }
}

/** Codes of `StepError`. */
export type StepErrorCode = 'STEP_LOCAL_MESSAGE' | 'STEP_PEER_NOT_FOUND' | 'STEP_MALFORMED';

/** A message was refused; the node is unchanged. */
export class StepError extends RaftError {
  override readonly name = 'StepError';
  readonly code: StepErrorCode;

  /**
   * @param code what is wrong
   * @param detail more words for STEP_MALFORMED
   */
  constructor(code: StepErrorCode, detail = '') {
    super(stepErrorText(code, detail));
    this.code = code;
  }
}

function stepErrorText(code: StepErrorCode, detail: string): string {
  switch (code) {
    case 'STEP_LOCAL_MESSAGE':
      return 'raft: cannot step raft local message';
    case 'STEP_PEER_NOT_FOUND':
      return 'raft: cannot step as peer not found';
    case 'STEP_MALFORMED':
      return `raft: cannot step malformed message: ${detail}`;
  }
}

/** A configuration value is missing or out of range. */
export class ConfigError extends RaftError {
  override readonly name = 'ConfigError';
  readonly code = 'INVALID_CONFIG';
  readonly field: keyof Config;

  /**
   * @param field the value that is wrong
   * @param message what is expected of it
   */
  constructor(field: keyof Config, message: string) {
    super(message);
    this.field = field;
  }
}

/** Bytes are not an encoding this package understands. */
export class RaftCodecError extends RaftError {
  override readonly name = 'RaftCodecError';
  readonly code = 'CODEC';
}

/** A change of the configuration is not possible from the current one. */
export class ConfChangeError extends RaftError {
  override readonly name = 'ConfChangeError';
  readonly code = 'CONF_CHANGE';
}

/**
 * A bug, a damaged storage or a broken contract. The node is unusable afterwards: every later call
 * throws the same error. Stop the process, keep its files, replace the member.
 */
export class RaftInvariantError extends RaftError {
  override readonly name = 'RaftInvariantError';
  readonly code = 'INVARIANT';
}
