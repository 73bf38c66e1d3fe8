import { ConclaveError, isConclaveError, limits, required } from '@conclave/kernel';
import type { Clock, Timers } from '@conclave/kernel';
import {
  encodeRecoverTranscript,
  identityOf,
  proveKey,
  reachedRoots,
  rootPin,
} from '@conclave/pki';
import { openJoinChannel, openStrangerChannel } from '@conclave/transport';
import type { Channel } from '@conclave/transport';
import { loadWire } from '@conclave/wire';
import { checkRenewed } from './check-renewed.js';
import type { MemberIdentity } from './identity-file.js';
import { checkChallenge } from './join-cluster.js';

/** Milliseconds for one call to a manager. */
const CALL_MS = 10_000;
/** Roots, and certificates that lead to them, that a manager names: those of a rotation, and more. */
const CERTIFICATES_MAX = 2 * limits.FORMER_ROOTS_MAX;

/** What coming back with an ended certificate takes. */
export interface RecoverOptions {
  readonly member: MemberIdentity;
  readonly privateKeyPem: Uint8Array;
  /** Told with the id of each manager that refuses, and the code of its error. */
  readonly onRefusal: (managerId: string, code: string) => void;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly signal: AbortSignal;
}

/** What a host has that came back. */
export type Recovered = Pick<MemberIdentity, 'certificateDer' | 'crossDer' | 'rootsDer'>;

/**
 * Gets the next certificate for the same key through the join listener of some manager, and the
 * roots that count by now: those that this host knows, and those that cross certificates lead to.
 * @throws CV_CERTIFICATE_EXPIRED when it ended too long ago for anybody to be asked
 * @throws what the managers refuse it with, else CV_PEER_UNREACHABLE
 */
export async function recoverCertificate(options: RecoverOptions): Promise<Recovered> {
  const { clock, member } = options;
  const { notAfterMs } = identityOf(member.certificateDer);
  // A root of so long ago may not vouch for another one either.
  if (clock.now() > notAfterMs + limits.RECOVERY_MS_MAX) {
    throw new ConclaveError('CV_CERTIFICATE_EXPIRED', 'the certificate ended too long ago');
  }
  let failure: unknown = new ConclaveError(
    'CV_PEER_UNREACHABLE',
    'no manager’s join address is known',
  );
  for (const { joinAddress } of member.managers) {
    if (joinAddress === '') continue;
    try {
      return await recoverAt(joinAddress, options);
    } catch (error) {
      if (!isConclaveError(error)) throw error;
      // What a manager said counts more than that another one is not there.
      const isSilent = isConclaveError(failure) && failure.code === 'CV_PEER_UNREACHABLE';
      if (isSilent || error.code !== 'CV_PEER_UNREACHABLE') failure = error;
    }
  }
  throw failure;
}

async function recoverAt(address: string, options: RecoverOptions): Promise<Recovered> {
  const rootsDer = await askForRoots(address, options);
  const pins = rootsDer.map(rootPin);
  const channel = openJoinChannel({ ...options, address, pins });
  try {
    const certificateDer = await askForCertificate(channel, rootsDer, options);
    return { certificateDer, rootsDer, crossDer: new Uint8Array(0) };
  } finally {
    channel.close();
  }
}

/**
 * The roots that count now, from whoever answers: only those are taken that this host knows, or that
 * one of these has certified, directly or through others.
 * @throws CV_CA_MISMATCH when there is none
 */
async function askForRoots(address: string, options: RecoverOptions): Promise<Uint8Array[]> {
  const { member, signal } = options;
  const channel = openStrangerChannel({ ...options, address });
  try {
    const call = { timeoutMs: CALL_MS, signal };
    const answer = await channel.unary(loadWire().Join.Challenge, {}, call);
    const { crossCertificates: crossesDer, rootCertificates: rootsDer } = answer;
    if (rootsDer.length + crossesDer.length > CERTIFICATES_MAX) {
      throw new ConclaveError('CV_PROTOCOL', 'the manager names too many roots');
    }
    const reached = reachedRoots(member.rootsDer, { rootsDer, crossesDer });
    // They outlive the message whose buffer they are views of.
    if (reached.length > 0) return reached.map((root) => Uint8Array.from(root));
  } finally {
    channel.close();
  }
  throw new ConclaveError('CV_CA_MISMATCH', 'no root of this manager follows from a known one');
}

async function askForCertificate(
  channel: Channel,
  rootsDer: readonly Uint8Array[],
  { clock, member, onRefusal, privateKeyPem, signal }: RecoverOptions,
): Promise<Uint8Array> {
  const service = loadWire().Join;
  const call = { timeoutMs: CALL_MS, signal };
  const challenge = await channel.unary(service.Challenge, {}, call);
  const presented = required(channel.peerCertificateDer, 'certificate of the manager');
  checkChallenge(challenge, presented, clock.now());
  const { certificateDer, clusterId, nodeId } = member;
  const transcript = encodeRecoverTranscript({
    clusterId,
    nodeId,
    serial: identityOf(certificateDer).serial,
    nonce: challenge.nonce,
    serverCertificateHash: challenge.serverCertificateHash,
  });
  const proof = proveKey(privateKeyPem, transcript);
  const request = { nonce: challenge.nonce, certificate: certificateDer, proof };
  try {
    const answer = await channel.unary(service.Recover, request, call);
    const certificateNew = Uint8Array.from(answer.certificate);
    checkRenewed(certificateNew, { ...member, rootsDer }, clock.now());
    return certificateNew;
  } catch (error) {
    if (isConclaveError(error)) onRefusal(identityOf(presented).id, error.code);
    throw error;
  }
}
