import { ConclaveError, equalBytes, isConclaveError } from '@conclave/kernel';
import type { Clock, Random, Timers } from '@conclave/kernel';
import {
  createFreshKeys,
  encodeJoinTranscript,
  recoveryOf,
  wipeFreshKeys,
} from '@conclave/manager';
import type { FreshKeys } from '@conclave/manager';
import { generateNodeKey, proveKey, rootPin, verifyChain } from '@conclave/pki';
import type { NodeKey } from '@conclave/pki';
import { hash, signJoin } from '@conclave/sealed';
import type { ParsedToken } from '@conclave/sealed';
import { openJoinChannel } from '@conclave/transport';
import type { Channel } from '@conclave/transport';
import { loadWire } from '@conclave/wire';
import type { ChallengeResponse, JoinRequestInput, JoinResponse } from '@conclave/wire';
import type { MemberIdentity, RememberedManager } from './identity-file.js';
import { spkiHashOf } from './public-key.js';

/** Milliseconds by which the clocks of this host and the cluster may differ. */
const CLOCK_SKEW_MS_MAX = 5 * 60_000;
const CALL_MS = 20_000;

/** What a host says of itself when it joins. */
export interface JoiningHost {
  readonly hostname: string;
  readonly platformOs: string;
  readonly version: string;
  /** Managers: where others reach its listeners. */
  readonly clusterAddress: string;
  readonly joinAddress: string;
}

/** What a host is after its join. */
export interface JoinedHost {
  readonly identity: MemberIdentity;
  /** PEM; the caller stores and wipes it. */
  readonly privateKeyPem: Uint8Array;
  /** Managers only. */
  readonly fresh: FreshKeys | undefined;
  /** Managers only: what their keys are sealed to. */
  readonly recovery: ReturnType<typeof recoveryOf> | undefined;
  /** Nothing is served to this host before an administrator has approved it. */
  readonly waitsForApproval: boolean;
}

/** Overwrites what a new member holds that is stored by now, or never will be. */
export function wipeJoined({ privateKeyPem, fresh }: JoinedHost): void {
  privateKeyPem.fill(0);
  if (fresh !== undefined) wipeFreshKeys(fresh);
}

/** The surroundings of a join. */
export interface JoinSurroundings {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
}

/**
 * Joins through a manager's join listener. The manager must chain to the root that the token pins
 * before anything is sent; the token itself never leaves this host, only a signature by it does.
 * @throws CV_CA_MISMATCH, CV_PEER_UNREACHABLE, CV_CLOCK_SKEW, CV_TOKEN_INVALID, ...
 */
export async function joinCluster(
  address: string,
  token: ParsedToken,
  host: JoiningHost,
  around: JoinSurroundings,
): Promise<JoinedHost> {
  const channel = openJoinChannel({ address, pins: [token.pin], ...around });
  try {
    return await joinThrough(channel, token, host, around);
  } catch (error) {
    throw asRootMatter(asAddressMatter(asClockMatter(error)));
  } finally {
    channel.close();
  }
}

/** Several ports of a manager answer, and only one of them takes a token. */
function asAddressMatter(error: unknown): unknown {
  if (!isConclaveError(error) || error.code !== 'CV_PEER_UNREACHABLE') return error;
  return new ConclaveError(error.code, error.message, {
    hint:
      'Check host and port: it must be the join address of a manager, which ' +
      '`conclave token create` prints (port 7421 if not chosen otherwise).',
    cause: error,
  });
}

/** A token names the root of the time at which it was made. */
function asRootMatter(error: unknown): unknown {
  if (!isConclaveError(error) || error.code !== 'CV_CA_MISMATCH') return error;
  return new ConclaveError(error.code, error.message, {
    hint:
      'Check the address. If the root of the cluster was rotated since the token was made, make ' +
      'another one on a manager: conclave token create worker|manager.',
    cause: error,
  });
}

/** Before a host has joined, a certificate outside its time nearly always means a wrong clock here. */
function asClockMatter(error: unknown): unknown {
  if (!isConclaveError(error) || error.code !== 'CV_CERTIFICATE_EXPIRED') return error;
  return new ConclaveError(
    'CV_CLOCK_SKEW',
    `by the clock of this host the manager's ${error.message}`,
    { hint: 'Compare the clocks of both hosts, then repeat the command.', cause: error },
  );
}

async function joinThrough(
  channel: Channel,
  token: ParsedToken,
  host: JoiningHost,
  { clock, random }: JoinSurroundings,
): Promise<JoinedHost> {
  const service = loadWire().Join;
  const challenge = await askForChallenge(channel);
  checkChallenge(challenge, channel.peerCertificateDer, clock.now());
  const key = generateNodeKey();
  const fresh = token.role === 'manager' ? createFreshKeys(random) : undefined;
  try {
    const request = joinRequest({ token, host, challenge, key, fresh });
    const answer = await channel.unary(service.Join, request, { timeoutMs: CALL_MS });
    const own = { spkiDer: key.spkiDer, now: clock.now() };
    const identity = checkAnswer(answer, token, own);
    const recovery = fresh === undefined ? undefined : recoveryOf(answer.recovery);
    const { waitsForApproval } = answer;
    return { identity, privateKeyPem: key.privateKeyPem, fresh, recovery, waitsForApproval };
  } catch (error) {
    // Keys of a host that nobody admitted.
    key.privateKeyPem.fill(0);
    if (fresh !== undefined) wipeFreshKeys(fresh);
    throw error;
  }
}

/** The port for members shows the same certificate, then ends the connection of a stranger. */
async function askForChallenge(channel: Channel): Promise<ChallengeResponse> {
  try {
    return await channel.unary(loadWire().Join.Challenge, {}, { timeoutMs: CALL_MS });
  } catch (error) {
    const isManager = channel.peerCertificateDer !== undefined;
    if (!isManager || !isConclaveError(error) || error.code !== 'CV_PEER_UNREACHABLE') throw error;
    const message = `a manager answers at ${channel.address}, but takes no joins there`;
    throw new ConclaveError('CV_PEER_UNREACHABLE', message, { cause: error });
  }
}

function joinRequest(parts: {
  readonly token: ParsedToken;
  readonly host: JoiningHost;
  readonly challenge: ChallengeResponse;
  readonly key: NodeKey;
  readonly fresh: FreshKeys | undefined;
}): JoinRequestInput {
  const { token, host, challenge, key, fresh } = parts;
  const said = {
    tokenId: token.id,
    nonce: challenge.nonce,
    publicKey: key.spkiDer,
    hostname: host.hostname,
    platformOs: host.platformOs,
    version: host.version,
    clusterAddress: fresh === undefined ? '' : host.clusterAddress,
    joinAddress: fresh === undefined ? '' : host.joinAddress,
    staticPublicKey: fresh?.static.publicKey ?? new Uint8Array(0),
    signingPublicKey: fresh?.signing.publicKey ?? new Uint8Array(0),
  };
  const transcript = encodeJoinTranscript({
    ...said,
    clusterId: challenge.clusterId,
    serverCertificateHash: challenge.serverCertificateHash,
  });
  return {
    ...said,
    proof: proveKey(key.privateKeyPem, transcript),
    signature: signJoin(token.seed, transcript),
  };
}

/** @throws CV_CA_MISMATCH, CV_CLOCK_SKEW */
export function checkChallenge(
  challenge: Pick<ChallengeResponse, 'nowMs' | 'serverCertificateHash'>,
  presented: Uint8Array | undefined,
  now: number,
): void {
  // The hash is signed with the token: a relay with another certificate gets a useless signature.
  if (presented === undefined || !equalBytes(hash(presented), challenge.serverCertificateHash)) {
    throw new ConclaveError(
      'CV_CA_MISMATCH',
      'the manager names another certificate than it shows',
    );
  }
  const skewMs = Math.abs(challenge.nowMs - now);
  if (skewMs <= CLOCK_SKEW_MS_MAX) return;
  throw new ConclaveError(
    'CV_CLOCK_SKEW',
    `the clock of this host differs from the manager's by ${Math.round(skewMs / 60_000)} minutes`,
  );
}

/**
 * Who this host is by the answer. What does not fit is refused before it is stored: a certificate
 * for another key would be one that never starts.
 * @throws CV_CA_MISMATCH, CV_CERTIFICATE_EXPIRED, CV_PROTOCOL
 */
export function checkAnswer(
  answer: JoinResponse,
  token: Pick<ParsedToken, 'pin' | 'role'>,
  own: { readonly spkiDer: Uint8Array; readonly now: number },
): MemberIdentity {
  if (!equalBytes(rootPin(answer.rootCertificate), token.pin)) {
    throw new ConclaveError('CV_CA_MISMATCH', 'the answer has another root than the token');
  }
  const certificateDer = Uint8Array.from(answer.certificate);
  const rootDer = Uint8Array.from(answer.rootCertificate);
  const named = verifyChain({ leafDer: certificateDer, rootDer, now: own.now, usage: 'client' });
  const { clusterId, nodeId, role } = answer;
  const isNamed = named.id === nodeId && named.clusterId === clusterId && named.role === role;
  const isOurKey = equalBytes(named.spkiHash, spkiHashOf(own.spkiDer));
  if (!isNamed || !isOurKey || role !== token.role) {
    throw new ConclaveError('CV_PROTOCOL', 'the certificate in the answer names somebody else');
  }
  return {
    clusterId,
    nodeId,
    role,
    raftId: answer.raftId,
    certificateDer,
    rootsDer: [rootDer],
    crossDer: new Uint8Array(0),
    managers: rememberedManagers(answer.managers),
  };
}

/** The managers that an answer names, without a view on it. */
export function rememberedManagers(
  managers: readonly RememberedManager[],
): readonly RememberedManager[] {
  return managers.map(({ nodeId, raftId, address, joinAddress, signingPublicKey }) => ({
    nodeId,
    raftId,
    address,
    joinAddress,
    signingPublicKey: Uint8Array.from(signingPublicKey),
  }));
}
