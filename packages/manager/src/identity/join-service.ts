import { ConclaveError, createId, encodeBase32, isConclaveError } from '@conclave/kernel';
import type { Clock, Logger, Random } from '@conclave/kernel';
import { verifyKeyProof } from '@conclave/pki';
import { verifyJoin } from '@conclave/sealed';
import { tokenFault } from '@conclave/state';
import type { ClusterRow, CommandBody, JoiningNode, State, TokenRow } from '@conclave/state';
import type { CallContext, Handlers } from '@conclave/transport';
import type {
  ChallengeResponseInput,
  JoinRequest,
  JoinResponseInput,
  RecoverRequest,
  RecoverResponseInput,
  Services,
} from '@conclave/wire';
import type { Proposer } from '../consensus/proposer.js';
import type { ManagerKeys } from '../keys/manager-keys.js';
import { Challenges } from './challenges.js';
import { recoveryMessage } from '../keys/recovery-message.js';
import { crossCertificates, trustedRoots } from '../keys/root-demand.js';
import { recoverWorker } from './recover-worker.js';
import type { Issuer } from './issuer.js';
import { encodeJoinTranscript } from './join-transcript.js';
import { checkJoinText, managerFields } from './join-fields.js';
import { demandReachable, drawRaftId, managersBut } from './new-manager.js';
import { limitFault } from './token-limits.js';

/** What the join service is made of. */
export interface JoinServiceOptions {
  readonly state: () => State;
  readonly keys: ManagerKeys;
  readonly issuer: Issuer;
  readonly proposer: Proposer;
  /** Waits until the state shows all that was committed before the call. */
  readonly confirm: () => Promise<unknown>;
  /** BLAKE2b-256 of the certificate that the join listener presents now. */
  readonly serverCertificateHash: () => Uint8Array;
  /** True when something accepts connections at the address. */
  readonly dial: (address: string, timeoutMs: number) => Promise<boolean>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * Admits new nodes: checks cheap things first, consumes the token and creates the node in one entry.
 * Also lets workers come back whose certificate has ended.
 */
export class JoinService implements Handlers<Services['Join']> {
  readonly #options: JoinServiceOptions;
  readonly #challenges: Challenges;

  constructor(options: JoinServiceOptions) {
    this.#options = options;
    this.#challenges = new Challenges(options.clock, options.random);
  }

  /** Hands out a nonce, which what follows must be signed over, and the roots. */
  challenge(): Promise<ChallengeResponseInput> {
    const cluster = this.#cluster();
    return Promise.resolve({
      nonce: this.#challenges.issue(),
      clusterId: cluster.id,
      serverCertificateHash: this.#options.serverCertificateHash(),
      nowMs: this.#options.clock.now(),
      rootCertificates: trustedRoots(cluster),
      crossCertificates: crossCertificates(cluster),
    });
  }

  /**
   * @throws CV_TOKEN_INVALID for an unknown, used, expired or revoked token, one for other hosts, or
   *   a wrong signature, all with the same words
   * @throws CV_ARGUMENT_INVALID for a malformed field
   * @throws CV_PEER_UNREACHABLE when a joining manager does not answer at the address it gave
   */
  async join(call: CallContext, request: JoinRequest): Promise<JoinResponseInput> {
    const cluster = this.#cluster();
    checkJoinText(request);
    this.#redeem(request.nonce);
    const token = await this.#tokenOf(request.tokenId);
    const nodeId = createId(this.#options.random);
    this.#checkSignatures(cluster, token, request);
    this.#checkToken(call, token, request);
    const { role } = token;
    const manager = managerFields(request, role);
    if (manager !== undefined) await demandReachable(this.#options.dial, manager.clusterAddress);
    const ring = this.#options.keys.requireRing();
    // Read anew: a rotation of the keys may have gone on while the host was dialled.
    const issued = await this.#options.issuer.issue(this.#cluster(), ring, {
      nodeId,
      role,
      spkiDer: request.publicKey,
    });
    const raftId =
      manager === undefined ? 0 : drawRaftId(this.#options.state(), this.#options.random);
    const node = {
      ...this.#newNode(request, nodeId),
      certificate: issued.row,
      manager: manager && {
        ...manager,
        raftId,
        membership: 'joining' as const,
        ringGeneration: 0,
      },
    };
    await this.#admit({ kind: 'node.join', tokenId: token.id, node }, call.signal);
    this.#options.logger.info('node.joined', { nodeId, role });
    return {
      clusterId: cluster.id,
      nodeId,
      role,
      certificate: issued.der,
      rootCertificate: cluster.rootCertificate,
      raftId,
      managers: managersBut(nodeId, this.#options.state()),
      // The newest entry: the token may be younger than what was read at the beginning.
      recovery: recoveryMessage(this.#cluster().recovery),
      waitsForApproval: token.needsApproval,
    };
  }

  /** As {@link recoverWorker}. @throws CV_PROTOCOL when the challenge was not given here */
  async recover(call: CallContext, request: RecoverRequest): Promise<RecoverResponseInput> {
    const cluster = this.#cluster();
    this.#redeem(request.nonce);
    return recoverWorker(this.#options, { cluster, call, request });
  }

  #redeem(nonce: Uint8Array): void {
    if (this.#challenges.redeem(nonce)) return;
    throw new ConclaveError('CV_PROTOCOL', 'the challenge was not given here, or too long ago');
  }

  #cluster(): ClusterRow {
    const cluster = this.#options.state().cluster();
    if (cluster !== undefined) return cluster;
    throw new ConclaveError('CV_NO_LEADER', 'this manager has no state yet', { retryAfterMs: 500 });
  }

  /** A token may be younger than what this manager has applied. */
  async #tokenOf(tokenId: Uint8Array): Promise<TokenRow> {
    const id = encodeBase32(tokenId);
    const known = this.#options.state().tokenById(id);
    if (known !== undefined) return known;
    await this.#options.confirm();
    const found = this.#options.state().tokenById(id);
    if (found !== undefined) return found;
    throw tokenRefused();
  }

  async #admit(
    body: Extract<CommandBody, { kind: 'node.join' }>,
    signal: AbortSignal,
  ): Promise<void> {
    const by = { kind: 'node', id: body.node.id } as const;
    try {
      await this.#options.proposer.commit(by, body, { signal });
    } catch (error) {
      if (!isConclaveError(error) || error.code !== 'CV_TOKEN_INVALID') throw error;
      // Used, expired or revoked meanwhile: which of these it was is nobody's business there.
      this.#options.logger.warn('join.refused', { tokenId: body.tokenId, reason: error.message });
      throw tokenRefused();
    }
  }

  #checkSignatures(cluster: ClusterRow, token: TokenRow, request: JoinRequest): void {
    const transcript = encodeJoinTranscript({
      clusterId: cluster.id,
      serverCertificateHash: this.#options.serverCertificateHash(),
      nonce: request.nonce,
      tokenId: request.tokenId,
      publicKey: request.publicKey,
      hostname: request.hostname,
      platformOs: request.platformOs,
      version: request.version,
      clusterAddress: request.clusterAddress,
      joinAddress: request.joinAddress,
      staticPublicKey: request.staticPublicKey,
      signingPublicKey: request.signingPublicKey,
    });
    if (!verifyJoin(token.publicKey, transcript, request.signature)) throw tokenRefused();
    if (!verifyKeyProof(request.publicKey, transcript, request.proof)) {
      throw new ConclaveError('CV_ARGUMENT_INVALID', 'the proof of the public key does not check');
    }
  }

  /** Only for who holds the token: nobody else makes the log tell of it. */
  #checkToken({ peer }: CallContext, token: TokenRow, { hostname }: JoinRequest): void {
    const address = peer.kind === 'local' ? '' : peer.address;
    // Of its uses and its time the state machine has the final word; this saves an entry.
    const fault =
      tokenFault(token, this.#options.clock.now()) ?? limitFault(token, { address, hostname });
    if (fault === undefined) return;
    this.#options.logger.warn('join.refused', { tokenId: token.id, address, reason: fault });
    throw tokenRefused();
  }

  #newNode(request: JoinRequest, id: string): Omit<JoiningNode, 'certificate' | 'manager'> {
    const now = this.#options.clock.now();
    return {
      id,
      hostname: request.hostname,
      state: 'UNKNOWN',
      stateAtMs: now,
      message: 'joined, not seen yet',
      availability: 'active',
      labels: {},
      platformOs: request.platformOs,
      daemonVersion: request.version,
      executors: [],
      previousCertificate: undefined,
      previousUntilMs: 0,
      sessionId: '',
      rootStep: 0,
      sessionCount: 0,
      createdAtMs: now,
    };
  }
}

function tokenRefused(): ConclaveError {
  return new ConclaveError(
    'CV_TOKEN_INVALID',
    'the join token is unknown, used, expired, revoked or not for this host',
  );
}
