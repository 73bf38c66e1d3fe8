import { platform } from 'node:os';
import { ConclaveError, createId } from '@conclave/kernel';
import { createFreshKeys, foundCluster, isAddress, ManagerKeys } from '@conclave/manager';
import type { FreshKeys } from '@conclave/manager';
import { generateNodeKey } from '@conclave/pki';
import { parseToken } from '@conclave/sealed';
import type { KeyRing, ParsedToken } from '@conclave/sealed';
import type { InitRequest, InitResponseInput, JoinClusterRequest } from '@conclave/wire';
import { advertisedAddresses } from './advertise.js';
import { holdPorts } from './dial.js';
import type { MemberIdentity } from './identity-file.js';
import { joinCluster } from './join-cluster.js';
import type { JoinedHost, JoiningHost } from './join-cluster.js';
import { ManagerMember } from './manager-member.js';
import type { Member, Surroundings } from './member.js';
import { checkWorkerHost, WorkerMember } from './worker-member.js';

const RAFT_ID_BELOW = 2 ** 52 - 1;

/** A host that has taken up its role. */
export interface Begun {
  readonly member: Member;
  readonly identity: MemberIdentity;
}

/** Takes up the role of a stored identity. */
export async function resumeMember(around: Surroundings, identity: MemberIdentity): Promise<Begun> {
  const privateKeyPem = await around.identityFile.readKey();
  const member =
    identity.role === 'manager'
      ? await ManagerMember.start(around, identity, { privateKeyPem })
      : await WorkerMember.start(around, identity, privateKeyPem);
  return { member, identity };
}

/**
 * Makes a cluster of this host. The identity is stored last: a crash before leaves a host that is
 * no member and can start over.
 */
export async function foundMember(
  request: InitRequest,
  around: Surroundings,
): Promise<Begun & { readonly answer: InitResponseInput }> {
  const { clock, random, hostname, version, identityFile, config } = around;
  if (request.autoUnlock !== '' && request.autoUnlock !== 'host') {
    throw new ConclaveError('CV_UNSUPPORTED', 'auto-unlock knows only "host" in this version');
  }
  const { clusterAddress, joinAddress, notes } = advertisedAddresses(request.advertise, config);
  const clusterId = createId(random);
  const nodeId = createId(random);
  const raftId = 1 + random.below(RAFT_ID_BELOW);
  const { privateKeyPem, spkiDer } = generateNodeKey();
  const keys = createFreshKeys(random);
  const founding = await foundCluster(
    {
      clusterId,
      nodeId,
      raftId,
      hostname,
      platformOs: platform(),
      version,
      clusterAddress,
      joinAddress,
      publicKey: spkiDer,
      keys,
    },
    clock,
    random,
  );
  const identity: MemberIdentity = {
    clusterId,
    nodeId,
    role: 'manager',
    raftId,
    certificateDer: founding.certificate,
    rootDer: founding.rootCertificate,
    managers: [],
  };
  await storeKeys(around, identity, { fresh: keys, ring: founding.ring });
  const secrets = { privateKeyPem, founding: founding.body };
  const member = await ManagerMember.start(around, identity, secrets);
  try {
    await identityFile.create(identity, privateKeyPem);
  } catch (error) {
    await member.stop();
    throw error;
  }
  const atRest =
    `keys at rest: opened by a file in ${config.dataDir} (--auto-unlock host); ` +
    'anyone who copies this disk can open it';
  const answer = { clusterId, nodeId, clusterAddress, joinAddress, notes: [...notes, atRest] };
  return { member, identity, answer };
}

/**
 * Makes this host a member of a cluster and stores who it is. From then on the cluster lists this
 * host: a failure to start afterwards is no reason to forget it.
 */
export async function joinMember(
  request: JoinClusterRequest,
  around: Surroundings,
): Promise<MemberIdentity> {
  if (!isAddress(request.address)) {
    throw new ConclaveError('CV_ARGUMENT_INVALID', 'the address must be HOST:PORT', {
      hint: 'Use the join address that `conclave token create` printed.',
    });
  }
  const token = readToken(request);
  try {
    const host = await describeHost(request, token, around);
    const joined = await joinHolding(token, around, () =>
      joinCluster(request.address, token, host, around),
    );
    await storeJoined(joined, around);
    return joined.identity;
  } finally {
    token.seed.wipe();
  }
}

/** The text of the token is a secret: it is overwritten as soon as it was read. */
function readToken(request: JoinClusterRequest): ParsedToken {
  try {
    return parseToken(request.token);
  } finally {
    request.token.fill(0);
  }
}

async function describeHost(
  request: JoinClusterRequest,
  token: ParsedToken,
  around: Surroundings,
): Promise<JoiningHost> {
  const { hostname, version, config } = around;
  // Before the token is spent on a host that could not do its part.
  if (token.role === 'worker') await checkWorkerHost(around);
  const { clusterAddress, joinAddress } = advertisedAddresses(request.advertise, config);
  return { hostname, platformOs: platform(), version, clusterAddress, joinAddress };
}

/** A joining manager keeps its ports open meanwhile: the cluster checks that it can be reached. */
async function joinHolding(
  token: ParsedToken,
  { config }: Surroundings,
  act: () => Promise<JoinedHost>,
): Promise<JoinedHost> {
  if (token.role === 'worker') return act();
  const held = await holdPorts(config.listenHost, [config.clusterPort, config.joinPort]);
  try {
    return await act();
  } finally {
    await held.close();
  }
}

/** Keys first: an identity without them could never start, and the cluster lists it already. */
async function storeJoined(joined: JoinedHost, around: Surroundings): Promise<void> {
  const { identity, privateKeyPem, fresh } = joined;
  try {
    if (fresh !== undefined) await storeKeys(around, identity, { fresh });
    await around.identityFile.create(identity, privateKeyPem);
  } finally {
    privateKeyPem.fill(0);
  }
}

async function storeKeys(
  { folder, random }: Surroundings,
  { clusterId, nodeId }: MemberIdentity,
  parts: { readonly fresh: FreshKeys; readonly ring?: KeyRing },
): Promise<void> {
  const keys = await ManagerKeys.create(folder, { clusterId, nodeId }, parts.fresh, random);
  try {
    if (parts.ring !== undefined) await keys.saveRing(parts.ring);
  } finally {
    keys.wipe();
  }
}
