import { byteLength, ConclaveError } from '@conclave/kernel';
import { algorithmOfPublicKey } from '@conclave/sealed';
import type { ManagerRow } from '@conclave/state';
import type { JoinRequest } from '@conclave/wire';

const HOSTNAME = /^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/;
const WORD = /^[A-Za-z0-9._+-]{1,64}$/;
const ADDRESS = /^(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})$/;
/** Bytes of a host name or address. */
const TEXT_BYTES_MAX = 255;
const KEY_BYTES_MAX = 4_096;

const invalid = (field: string, rule: string): ConclaveError =>
  new ConclaveError('CV_ARGUMENT_INVALID', `${field} ${rule}`, { details: { field } });

/**
 * Checks what a joining host says of itself, before any signature is checked.
 * @throws CV_ARGUMENT_INVALID
 */
export function checkJoinText(request: JoinRequest): void {
  if (byteLength(request.hostname) > TEXT_BYTES_MAX || !HOSTNAME.test(request.hostname)) {
    throw invalid('hostname', 'must be letters and digits with inner "." or "-"');
  }
  if (!WORD.test(request.platformOs)) throw invalid('platform_os', 'must be one short word');
  if (!WORD.test(request.version)) throw invalid('version', 'must be one short word');
  if (request.publicKey.length === 0) throw invalid('public_key', 'is missing');
  if (request.proof.length === 0) throw invalid('proof', 'is missing');
  if (request.signature.length === 0) throw invalid('signature', 'is missing');
  const keys = [request.publicKey, request.staticPublicKey, request.signingPublicKey];
  if (keys.some((key) => key.length > KEY_BYTES_MAX)) throw invalid('a public key', 'is too long');
}

/** True for `host:port` with a port of 1..65535. */
export function isAddress(text: string): boolean {
  const port = Number(ADDRESS.exec(text)?.[1] ?? 0);
  return text.length <= TEXT_BYTES_MAX && port >= 1 && port <= 65_535;
}

/**
 * The fields that only a manager has; undefined for a worker.
 * @throws CV_ARGUMENT_INVALID when a manager leaves one out
 */
export function managerFields(
  request: Pick<
    JoinRequest,
    'clusterAddress' | 'joinAddress' | 'staticPublicKey' | 'signingPublicKey'
  >,
  role: 'manager' | 'worker',
): Omit<ManagerRow, 'raftId' | 'membership' | 'ringGeneration'> | undefined {
  if (role === 'worker') return undefined;
  if (!isAddress(request.clusterAddress)) throw invalid('cluster_address', 'must be HOST:PORT');
  if (!isAddress(request.joinAddress)) throw invalid('join_address', 'must be HOST:PORT');
  if (algorithmOfPublicKey(request.staticPublicKey) === undefined) {
    throw invalid('static_public_key', 'is of no known kind');
  }
  if (request.signingPublicKey.length !== 32)
    throw invalid('signing_public_key', 'has no 32 bytes');
  return {
    clusterAddress: request.clusterAddress,
    joinAddress: request.joinAddress,
    staticPublicKey: Uint8Array.from(request.staticPublicKey),
    signingPublicKey: Uint8Array.from(request.signingPublicKey),
  };
}
