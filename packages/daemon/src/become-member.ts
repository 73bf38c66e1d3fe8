import { platform } from 'node:os';
import { ConclaveError, createId } from '@conclave/kernel';
import {
  createFreshKeys,
  foundCluster,
  isAddress,
  KeySlots,
  recoveryDraft,
  recoveryOf,
  wipeFreshKeys,
} from '@conclave/manager';
import type { FounderDescription, Founding, SlotDraft } from '@conclave/manager';
import { generateNodeKey } from '@conclave/pki';
import { parseToken } from '@conclave/sealed';
import type { KeyRing, ParsedToken, SecretBytes } from '@conclave/sealed';
import type { InitRequest, InitResponseInput, JoinClusterRequest } from '@conclave/wire';
import { advertisedAddresses } from './advertise.js';
import { holdPorts } from './dial.js';
import type { MemberIdentity } from './identity-file.js';
import { joinCluster, wipeJoined } from './join-cluster.js';
import type { JoinedHost, JoiningHost } from './join-cluster.js';
import { LockedMember } from './locked-member.js';
import type { LockedMemberOptions } from './locked-member.js';
import { ManagerMember } from './manager-member.js';
import { WAITS } from './member.js';
import type { Member, Surroundings } from './member.js';
import { QuarantinedMember } from './quarantined-member.js';
import { storeKeys } from './store-keys.js';
import type { OpenedKeys } from './store-keys.js';
import { chooseProvider, createAutoSlot, openAtOnce } from './unlock/auto-unlock.js';
import { checkWorkerHost, WorkerMember } from './worker-member.js';

const RAFT_ID_BELOW = 2 ** 52 - 1;
/** Of the recovery key that a cluster begins with. */
const FIRST_GENERATION = 1;

/** A host that has taken up its role. */
export interface Begun {
  readonly member: Member;
  readonly identity: MemberIdentity;
}

/** A host that the cluster lists, before it takes up its role. */
export interface Joined {
  readonly identity: MemberIdentity;
  /** Managers only: their keys are open until the first restart, whatever their slots. */
  readonly opened: OpenedKeys | undefined;
  readonly notes: readonly string[];
}

/** Takes up the role of a host that has just joined. */
export async function startJoined(
  around: Surroundings,
  { identity, opened }: Joined,
): Promise<Begun> {
  if (opened === undefined) return startWorker(around, identity);
  return { member: await ManagerMember.start(around, identity, opened), identity };
}

/**
 * Takes up another role than that of `old`. The identity decides which role a restart takes up: what
 * belongs to the other one is removed after it was written, and again at each start.
 */
export async function switchRole(
  around: Surroundings,
  old: Member,
  joined: JoinedHost,
): Promise<Begun> {
  const { identity } = joined;
  let opened: OpenedKeys | undefined;
  try {
    await old.retire();
    opened = await storeJoined(joined, { drafts: [], note: '' }, around);
    await around.identityFile.keepOnly(identity.role);
  } catch (error) {
    wipeJoined(joined);
    opened?.localKey.wipe();
    throw error;
  }
  return startJoined(around, { identity, opened, notes: [] });
}

async function startWorker(around: Surroundings, identity: MemberIdentity): Promise<Begun> {
  const privateKeyPem = await around.identityFile.readKey();
  return { member: await WorkerMember.start(around, identity, privateKeyPem), identity };
}

/**
 * Takes up the role of a stored identity; a manager whose keys do not open stays locked, and one that
 * was found to have another state than the others takes no part.
 */
export async function resumeMember(
  around: Surroundings,
  identity: MemberIdentity,
  unlocked: LockedMemberOptions['unlocked'],
): Promise<Begun> {
  await around.identityFile.keepOnly(identity.role);
  if (identity.role === 'worker') return startWorker(around, identity);
  const reason = await around.identityFile.readQuarantine();
  if (reason !== undefined) return { member: new QuarantinedMember(identity, reason), identity };
  const slots = await KeySlots.open(around.folder, identity, around);
  const localKey = await openAtOnce(slots, around);
  if (localKey === undefined) {
    return { member: LockedMember.start({ around, identity, slots, unlocked }), identity };
  }
  return { member: await ManagerMember.start(around, identity, { localKey, slots }), identity };
}

/**
 * Makes a cluster of this host. The identity is stored last: a crash before leaves a host that is
 * no member and can start over.
 */
export async function foundMember(
  request: InitRequest,
  around: Surroundings,
): Promise<Begun & { readonly answer: InitResponseInput }> {
  const { random, hostname, version, identityFile, config } = around;
  const recovery = { ...recoveryOf(request.recovery), generation: FIRST_GENERATION };
  const { clusterAddress, joinAddress, notes } = advertisedAddresses(request.advertise, config);
  const clusterId = createId(random);
  const nodeId = createId(random);
  const raftId = 1 + random.below(RAFT_ID_BELOW);
  const rest = await chooseAtRest(request.autoUnlock, around);
  const { opened, founding } = await storeFounder(
    {
      clusterId,
      nodeId,
      raftId,
      hostname,
      platformOs: platform(),
      version,
      clusterAddress,
      joinAddress,
      recovery,
    },
    rest.drafts,
    around,
  );
  const identity: MemberIdentity = {
    clusterId,
    nodeId,
    role: 'manager',
    raftId,
    certificateDer: founding.certificate,
    rootsDer: [founding.rootCertificate],
    crossDer: new Uint8Array(0),
    managers: [],
  };
  const member = await ManagerMember.start(around, identity, {
    ...opened,
    founding: founding.body,
  });
  try {
    await identityFile.write(identity);
  } catch (error) {
    await member.stop();
    throw error;
  }
  const answer = { clusterId, nodeId, clusterAddress, joinAddress, notes: [...notes, rest.note] };
  return { member, identity, answer };
}

/** Makes and stores what a cluster begins with; open keys stay in the answer only. */
async function storeFounder(
  founder: Omit<FounderDescription, 'publicKey' | 'keys'>,
  drafts: readonly SlotDraft[],
  { folder, clock, random }: Surroundings,
): Promise<{ readonly opened: OpenedKeys; readonly founding: Omit<Founding, 'ring'> }> {
  const { privateKeyPem, spkiDer } = generateNodeKey();
  const fresh = createFreshKeys(random);
  let ring: KeyRing | undefined;
  try {
    const described = { ...founder, publicKey: spkiDer, keys: fresh };
    const founding = await foundCluster(described, clock, random);
    ring = founding.ring;
    const opened = await storeKeys(folder, founder, {
      fresh,
      privateKeyPem,
      ring,
      drafts: [recoveryDraft(founder.recovery), ...drafts],
      tools: { clock, random },
    });
    return { opened, founding };
  } finally {
    privateKeyPem.fill(0);
    wipeFreshKeys(fresh);
    ring?.wipe();
  }
}

/**
 * Makes this host a member of a cluster and stores who it is. From then on the cluster lists this
 * host: a failure to start afterwards is no reason to forget it.
 */
export async function joinMember(
  request: JoinClusterRequest,
  text: SecretBytes,
  around: Surroundings,
): Promise<Joined> {
  if (!isAddress(request.address)) {
    throw new ConclaveError('CV_ARGUMENT_INVALID', 'the address must be HOST:PORT', {
      hint: 'Use the join address that `conclave token create` printed.',
    });
  }
  const token = text.use(parseToken);
  try {
    const host = await describeHost(request, token, around);
    const rest = await atRestOf(request, token, around);
    const joined = await joinHolding(token, around, () =>
      joinCluster(request.address, token, host, around),
    );
    const opened = await storeJoined(joined, rest, around);
    const approval = joined.waitsForApproval ? `this host ${WAITS}` : '';
    const notes = [rest.note, approval].filter((note) => note !== '');
    return { identity: joined.identity, opened, notes };
  } finally {
    token.seed.wipe();
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

/** A worker's key is not locked; see the guarantees. @throws CV_ARGUMENT_INVALID */
async function atRestOf(
  { autoUnlock }: JoinClusterRequest,
  { role }: ParsedToken,
  around: Surroundings,
): Promise<AtRest> {
  if (role === 'manager') return chooseAtRest(autoUnlock, around);
  if (autoUnlock === '') return { drafts: [], note: '' };
  throw new ConclaveError(
    'CV_ARGUMENT_INVALID',
    'auto_unlock is for managers: workers do not lock',
    {
      details: { field: 'auto_unlock' },
    },
  );
}

/** Keys first: an identity without them could never start, and the cluster lists it already. */
async function storeJoined(
  joined: JoinedHost,
  { drafts }: AtRest,
  { folder, identityFile, clock, random }: Surroundings,
): Promise<OpenedKeys | undefined> {
  const { identity, privateKeyPem, fresh, recovery } = joined;
  let opened: OpenedKeys | undefined;
  try {
    if (fresh === undefined || recovery === undefined) {
      await identityFile.create(identity, privateKeyPem);
      return undefined;
    }
    opened = await storeKeys(folder, identity, {
      fresh,
      privateKeyPem,
      drafts: [recoveryDraft(recovery), ...drafts],
      tools: { clock, random },
    });
    await identityFile.write(identity);
    return opened;
  } catch (error) {
    opened?.localKey.wipe();
    throw error;
  } finally {
    wipeJoined(joined);
  }
}

/** How the keys of a new manager open after a restart. */
interface AtRest {
  readonly drafts: readonly SlotDraft[];
  readonly note: string;
}

const LOCKED_NOTE =
  'keys at rest: locked; after a restart run `conclave unlock` with the recovery key';

async function chooseAtRest(autoUnlock: string, around: Surroundings): Promise<AtRest> {
  if (autoUnlock === '') return { drafts: [], note: LOCKED_NOTE };
  const provider = await chooseProvider(autoUnlock, around);
  const { draft, note } = await createAutoSlot(provider, around.random);
  return { drafts: [draft], note };
}
