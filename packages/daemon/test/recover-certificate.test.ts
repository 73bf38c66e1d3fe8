import { afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { ConclaveError, createId, limits, SILENT_LOGGER } from '@conclave/kernel';
import {
  createRoot,
  crossSign,
  encodeRecoverTranscript,
  generateNodeKey,
  identityOf,
  issueCertificate,
  publicKeyOf,
  verifyKeyProof,
} from '@conclave/pki';
import type { CreatedRoot, NodeKey } from '@conclave/pki';
import { hash, openSealed } from '@conclave/sealed';
import { listenJoin, ReplaceableIdentity, serve } from '@conclave/transport';
import type { Listener } from '@conclave/transport';
import { loadWire } from '@conclave/wire';
import type { ChallengeResponseInput, RecoverRequest } from '@conclave/wire';
import type { MemberIdentity } from '../src/identity-file.js';
import { SYSTEM_CLOCK, SYSTEM_RANDOM, SYSTEM_TIMERS } from '../src/platform.js';
import { recoverCertificate } from '../src/recover-certificate.js';
import type { Recovered } from '../src/recover-certificate.js';

// Real sockets on a machine that may be busy.
jest.setTimeout(30_000);

const HOUR_MS = 3_600_000;
const CLUSTER = createId(SYSTEM_RANDOM);
const WORKER = createId(SYSTEM_RANDOM);
const MANAGER = createId(SYSTEM_RANDOM);

/** Three roots, each of the later ones certified by the one before. */
let roots: CreatedRoot[];
let crosses: Uint8Array[];
let key: NodeKey;
const listeners: Listener[] = [];

const newRoot = (): Promise<CreatedRoot> =>
  createRoot({ clusterId: CLUSTER, now: Date.now() - 100 * HOUR_MS, random: SYSTEM_RANDOM });

const rootAt = (place: number): CreatedRoot => {
  const root = roots[place];
  if (root === undefined) throw new Error('there are three roots');
  return root;
};

const certify = (root: CreatedRoot, by: CreatedRoot): Promise<Uint8Array> =>
  crossSign({
    byDer: by.certificateDer,
    byPrivateKey: by.privateKeyPkcs8,
    rootDer: root.certificateDer,
    random: SYSTEM_RANDOM,
  });

interface Issued {
  readonly id: string;
  readonly role: 'manager' | 'worker';
  readonly spkiDer: Uint8Array;
  /** From now; default an hour. */
  readonly endsInMs?: number;
}

function issue(root: CreatedRoot, of: Issued): Promise<Uint8Array> {
  const notAfter = Date.now() + (of.endsInMs ?? HOUR_MS);
  return issueCertificate({
    rootDer: root.certificateDer,
    rootPrivateKey: root.privateKeyPkcs8,
    clusterId: CLUSTER,
    subject: { kind: 'node', role: of.role, id: of.id },
    spkiDer: of.spkiDer,
    serial: SYSTEM_RANDOM.bytes(16),
    notBefore: notAfter - HOUR_MS,
    notAfter,
  });
}

beforeAll(async () => {
  await openSealed();
  roots = await Promise.all([newRoot(), newRoot(), newRoot()]);
  crosses = [await certify(rootAt(1), rootAt(0)), await certify(rootAt(2), rootAt(1))];
  key = generateNodeKey();
});

afterEach(() => Promise.all(listeners.splice(0).map((listener) => listener.close())));

interface Answers {
  /** Whose key the manager's certificate is under; default the newest root. */
  readonly under?: CreatedRoot;
  readonly challenge?: ChallengeResponseInput;
  /** The answer to Recover; default the next certificate of who asks. */
  readonly recover?: () => Promise<Uint8Array>;
}

/** A manager that answers at a join address, and what it was asked for. */
async function manager(answers: Answers = {}): Promise<{ address: string; recovered: string[] }> {
  const own = generateNodeKey();
  const under = answers.under ?? rootAt(2);
  const leaf = await issue(under, { id: MANAGER, role: 'manager', spkiDer: own.spkiDer });
  const recovered: string[] = [];
  const nonce = SYSTEM_RANDOM.bytes(32);
  const listener = await listenJoin({
    host: '127.0.0.1',
    port: 0,
    identity: new ReplaceableIdentity({
      certificatesDer: [leaf],
      privateKeyPem: own.privateKeyPem,
      rootsDer: [under.certificateDer],
    }),
    services: [
      serve(loadWire().Join, {
        challenge: async () => ({
          nonce,
          clusterId: CLUSTER,
          serverCertificateHash: hash(leaf),
          nowMs: Date.now(),
          rootCertificates: [rootAt(2).certificateDer],
          crossCertificates: crosses,
          ...answers.challenge,
        }),
        join: () => Promise.reject(new Error('not asked for')),
        recover: async (_call: unknown, request: RecoverRequest) => {
          const spkiDer = publicKeyOf(request.certificate);
          const { id: nodeId, serial } = identityOf(request.certificate);
          const said = { nonce, serverCertificateHash: hash(leaf) };
          const transcript = encodeRecoverTranscript({
            clusterId: CLUSTER,
            nodeId,
            serial,
            ...said,
          });
          expect(verifyKeyProof(spkiDer, transcript, request.proof)).toBe(true);
          recovered.push(nodeId);
          const next = () => issue(rootAt(2), { id: nodeId, role: 'worker', spkiDer });
          return { certificate: await (answers.recover ?? next)() };
        },
      }),
    ],
    clock: SYSTEM_CLOCK,
    timers: SYSTEM_TIMERS,
    logger: SILENT_LOGGER,
  });
  listeners.push(listener);
  return { address: listener.address, recovered };
}

const refusals: string[] = [];

/** A worker of the first root whose certificate has ended tries these join addresses. */
async function recover(addresses: readonly string[], endedMs = HOUR_MS): Promise<Recovered> {
  refusals.length = 0;
  const of = { id: WORKER, role: 'worker', spkiDer: key.spkiDer, endsInMs: -endedMs } as const;
  const member: MemberIdentity = {
    clusterId: CLUSTER,
    nodeId: WORKER,
    role: 'worker',
    raftId: 0,
    certificateDer: await issue(rootAt(0), of),
    rootsDer: [rootAt(0).certificateDer],
    crossDer: crosses[0] ?? new Uint8Array(0),
    managers: addresses.map((joinAddress) => ({
      nodeId: MANAGER,
      raftId: 0,
      address: '127.0.0.1:1',
      joinAddress,
      signingPublicKey: new Uint8Array(32),
    })),
  };
  return recoverCertificate({
    member,
    privateKeyPem: key.privateKeyPem,
    onRefusal: (managerId, code) => refusals.push(`${managerId} ${code}`),
    clock: SYSTEM_CLOCK,
    timers: SYSTEM_TIMERS,
    signal: new AbortController().signal,
  });
}

const NOBODY = '127.0.0.1:1';

describe('a worker whose certificate has ended', () => {
  test('follows two rotations that it has missed, and stores what it may trust', async () => {
    const { address, recovered } = await manager();
    const { certificateDer, crossDer, rootsDer } = await recover(['', NOBODY, address]);
    expect(rootsDer).toEqual([rootAt(2).certificateDer]);
    expect(crossDer).toHaveLength(0);
    expect(identityOf(certificateDer)).toMatchObject({ id: WORKER, role: 'worker' });
    expect(publicKeyOf(certificateDer)).toEqual(key.spkiDer);
    expect(recovered).toEqual([WORKER]);
  });

  test.each([
    ['a root that nobody vouches for', (): Uint8Array[] => []],
    ['a link that is missing', () => crosses.slice(1)],
    ['links in another order', () => crosses.toReversed()],
  ])('shows nothing to a manager with %s', async (_, links) => {
    const { address, recovered } = await manager({ challenge: { crossCertificates: links() } });
    await expect(recover([address])).rejects.toMatchObject({ code: 'CV_CA_MISMATCH' });
    expect(recovered).toEqual([]);
  });

  test('shows nothing to who repeats the roots of the cluster and has none of their keys', async () => {
    const { address, recovered } = await manager({ under: await newRoot() });
    await expect(recover([address])).rejects.toMatchObject({ code: 'CV_CA_MISMATCH' });
    expect(recovered).toEqual([]);
  });

  test('shows nothing to a relay, nor to a clock that is far off', async () => {
    const relay = await manager({ challenge: { serverCertificateHash: new Uint8Array(32) } });
    await expect(recover([relay.address])).rejects.toMatchObject({ code: 'CV_CA_MISMATCH' });
    const off = await manager({ challenge: { nowMs: Date.now() + HOUR_MS } });
    await expect(recover([off.address])).rejects.toMatchObject({ code: 'CV_CLOCK_SKEW' });
    expect([...relay.recovered, ...off.recovered]).toEqual([]);
  });

  test('reads no more roots than a cluster has', async () => {
    const many = Array.from({ length: 2 * limits.FORMER_ROOTS_MAX }, () => new Uint8Array(9));
    const { address } = await manager({ challenge: { crossCertificates: many } });
    await expect(recover([address])).rejects.toMatchObject({ code: 'CV_PROTOCOL' });
  });

  test('asks the next manager after a refusal, and tells who refused', async () => {
    const refuse = (): Promise<never> =>
      Promise.reject(new ConclaveError('CV_NODE_REMOVED', 'removed'));
    const one = await manager({ recover: refuse });
    const two = await manager();
    await expect(recover([one.address, two.address])).resolves.toBeDefined();
    expect(refusals).toEqual([`${MANAGER} CV_NODE_REMOVED`]);
    await expect(recover([one.address, NOBODY])).rejects.toMatchObject({ code: 'CV_NODE_REMOVED' });
  });

  test('takes no certificate for another key or name', async () => {
    const { spkiDer } = generateNodeKey();
    const wrong: Issued[] = [
      { id: WORKER, role: 'worker', spkiDer },
      { id: MANAGER, role: 'worker', spkiDer: key.spkiDer },
    ];
    for (const of of wrong) {
      const { address } = await manager({ recover: () => issue(rootAt(2), of) });
      await expect(recover([address])).rejects.toMatchObject({ code: 'CV_PROTOCOL' });
    }
    const old: Issued = { id: WORKER, role: 'worker', spkiDer: key.spkiDer };
    const { address } = await manager({ recover: () => issue(rootAt(0), old) });
    await expect(recover([address])).rejects.toMatchObject({ code: 'CV_CA_MISMATCH' });
  });

  test('asks nobody behind the bound: its root may not vouch for another one any more', async () => {
    const { address, recovered } = await manager();
    const recovering = recover([address], limits.RECOVERY_MS_MAX + HOUR_MS);
    await expect(recovering).rejects.toMatchObject({ code: 'CV_CERTIFICATE_EXPIRED' });
    expect(recovered).toEqual([]);
  });
});
