import { beforeEach, describe, expect, test } from '@jest/globals';
import { SILENT_LOGGER } from '@conclave/kernel';
import {
  encodeRenewTranscript,
  generateNodeKey,
  identityOf,
  proveKey,
  verifyChain,
} from '@conclave/pki';
import type { NodeKey } from '@conclave/pki';
import { createRecipientKeyPair } from '@conclave/sealed';
import { loadWire } from '@conclave/wire';
import type { BecomeManagerRequest, RenewRequest, RenewRequestInput } from '@conclave/wire';
import { IdentityService } from '../../src/identity/identity-service.js';
import { CERTIFICATE_OVERLAP_MS, certificateRow, Issuer } from '../../src/identity/issuer.js';
import { promoteCaller } from '../../src/identity/promotion.js';
import { encodePromotionTranscript } from '../../src/identity/promotion-transcript.js';
import { callOf, callWith } from '../calls.js';
import { CLUSTER_ID, FoundedCluster, FOUNDER_ID, settle } from '../founded-cluster.js';

let cluster: FoundedCluster;
let service: IdentityService;
let issuer: Issuer;
let key: NodeKey;
let worker: string;
/** Whether a new manager answers at the address it gave. */
let isReachable = true;
let certificate: Uint8Array;

beforeEach(async () => {
  cluster = await FoundedCluster.running();
  const { time, random, keys, proposer } = cluster;
  issuer = new Issuer(time, random);
  const parts = {
    state: () => cluster.state,
    keys,
    issuer,
    proposer,
    clock: time,
    logger: SILENT_LOGGER,
    random,
    dial: () => Promise.resolve(isReachable),
  };
  service = new IdentityService({
    ...parts,
    promote: (caller, asked) => promoteCaller(parts, caller, asked),
  });
  key = generateNodeKey();
  worker = 'one'.padEnd(26, 'a');
  const row = cluster.state.cluster();
  if (row === undefined) throw new Error('there is no cluster');
  const subject = { nodeId: worker, role: 'worker' as const, spkiDer: key.spkiDer };
  certificate = (await issuer.issue(row, keys.requireRing(), subject)).der;
  cluster.addWorker('one', { certificate: certificateRow(certificate, 1) });
});

const serialOf = (der: Uint8Array): string => identityOf(der).serial;

/** As it comes from the wire. */
function received(message: RenewRequestInput): RenewRequest {
  const method = loadWire().Identity.Renew;
  return method.decodeRequest(method.encodeRequest(message));
}

function request(asked: {
  readonly with: Uint8Array;
  readonly key: NodeKey;
  readonly provenBy?: NodeKey;
  readonly nodeId?: string;
}): RenewRequest {
  const transcript = encodeRenewTranscript({
    clusterId: CLUSTER_ID,
    id: asked.nodeId ?? worker,
    serial: serialOf(asked.with),
    publicKey: asked.key.spkiDer,
  });
  const proof = proveKey((asked.provenBy ?? asked.key).privateKeyPem, transcript);
  return received({ publicKey: asked.key.spkiDer, proof });
}

async function renew(held: Uint8Array, own: NodeKey = key): Promise<Uint8Array> {
  const answer = await service.renew(callWith(held), request({ with: held, key: own }));
  return answer.certificate as Uint8Array;
}

describe('a renewal', () => {
  test('gives the same node a new certificate; the old one stays for the overlap', async () => {
    const next = await renew(certificate);
    const chain = { leafDer: next, rootDer: cluster.founding.rootCertificate };
    expect(verifyChain({ ...chain, now: cluster.time.now(), usage: 'client' })).toMatchObject({
      id: worker,
      role: 'worker',
    });
    expect(cluster.state.nodeById(worker)).toMatchObject({
      certificate: { serial: serialOf(next) },
      previousCertificate: { serial: serialOf(certificate) },
      previousUntilMs: cluster.time.now() + CERTIFICATE_OVERLAP_MS,
    });
  });

  test('may bring a new key whose possession is proven', async () => {
    const fresh = generateNodeKey();
    const next = await renew(certificate, fresh);
    expect(cluster.state.nodeById(worker)?.certificate).toEqual(certificateRow(next, 1));
  });

  test('whose answer was lost can be asked for again with the certificate that is left', async () => {
    await renew(certificate);
    const next = await renew(certificate);
    const node = cluster.state.nodeById(worker);
    expect(node?.certificate.serial).toBe(serialOf(next));
    expect(node?.previousCertificate?.serial).toBe(serialOf(certificate));
  });

  test('with a certificate that was replaced long ago is refused', async () => {
    const second = await renew(certificate);
    await renew(second);
    await expect(renew(certificate)).rejects.toMatchObject({ code: 'CV_UNAUTHENTICATED' });
  });

  test.each(['a key of somebody else', 'another node', 'another certificate', 'garbage'])(
    'with the proof of %s is refused',
    async (kind) => {
      const other = generateNodeKey();
      const proofs = {
        'a key of somebody else': request({ with: certificate, key, provenBy: other }),
        'another node': request({ with: certificate, key, nodeId: FOUNDER_ID }),
        'another certificate': request({ with: cluster.founding.certificate, key }),
        garbage: received({ publicKey: new Uint8Array(91).fill(9), proof: new Uint8Array(64) }),
      };
      const asked = proofs[kind as keyof typeof proofs];
      const before = cluster.state.nodeById(worker);
      await expect(service.renew(callWith(certificate), asked)).rejects.toMatchObject({
        code: 'CV_ARGUMENT_INVALID',
      });
      expect(cluster.state.nodeById(worker)).toBe(before);
    },
  );

  test('to the key of another node is refused', async () => {
    await expect(renew(certificate, cluster.founderKey)).rejects.toMatchObject({
      code: 'CV_ARGUMENT_INVALID',
    });
  });

  test('of a node that was removed is refused', async () => {
    cluster.apply({ kind: 'node.remove', id: worker, force: true });
    await expect(renew(certificate)).rejects.toMatchObject({ code: 'CV_NODE_NOT_FOUND' });
  });

  test('needs a certificate', async () => {
    const asked = request({ with: certificate, key });
    await expect(service.renew(callOf(), asked)).rejects.toMatchObject({
      code: 'CV_UNAUTHENTICATED',
    });
  });
});

test('a demoted manager asks for the certificate of a worker for as long as its own lives', async () => {
  const asManager = generateNodeKey();
  const row = cluster.state.cluster();
  if (row === undefined) throw new Error('there is no cluster');
  const subject = { nodeId: worker, role: 'manager' as const, spkiDer: asManager.spkiDer };
  const held = (await issuer.issue(row, cluster.keys.requireRing(), subject)).der;
  // The record of a worker whose certificate is still that of the manager it was.
  cluster.apply({
    kind: 'node.renew',
    id: worker,
    usedSerial: serialOf(certificate),
    certificate: certificateRow(held, 1),
    previousUntilMs: 0,
  });
  await renew(held, generateNodeKey());
  // The host ended before it had stored the answer, and was off for longer than an overlap.
  await cluster.time.advance(24 * 3_600_000, settle);
  const node = cluster.state.nodeById(worker);
  expect(node?.previousCertificate?.serial).toBe(serialOf(held));
  expect(node?.previousUntilMs).toBe(identityOf(held).notAfterMs);
  const next = await renew(held, generateNodeKey());
  expect(identityOf(next).role).toBe('worker');
});

describe('an administrator', () => {
  const id = 'ann'.padEnd(26, 'a');
  let held: Uint8Array;
  let own: NodeKey;
  beforeEach(async () => {
    const row = cluster.state.cluster();
    if (row === undefined) throw new Error('there is no cluster');
    own = generateNodeKey();
    const subject = { adminId: id, ttlMs: 5_000, spkiDer: own.spkiDer };
    held = (await issuer.issue(row, cluster.keys.requireRing(), subject)).der;
    const fields = { ttlMs: 5_000, certificate: certificateRow(held, 1) };
    cluster.addAdmin(id, ['viewer'], fields);
  });
  const ask = (): ReturnType<typeof service.renew> =>
    service.renew(callWith(held), request({ with: held, key: own, nodeId: id }));

  test('renews for the life that it was made with, and never more rights', async () => {
    const before = cluster.state.adminById(id);
    await cluster.time.advance(3_000, settle);
    const next = identityOf((await ask()).certificate as Uint8Array);
    expect(next).toMatchObject({ kind: 'admin', id, role: 'admin' });
    expect(next.notAfterMs).toBe(identityOf(held).notAfterMs + 3_000);
    expect(cluster.state.adminById(id)).toEqual({
      ...before,
      certificate: expect.objectContaining({ serial: next.serial }) as unknown,
      previousCertificate: certificateRow(held, 1),
      previousUntilMs: cluster.time.now() + CERTIFICATE_OVERLAP_MS,
      objectVersion: expect.any(Number) as unknown,
    });
  });

  test('that was revoked is refused', async () => {
    cluster.apply({ kind: 'admin.revoke', id });
    await expect(ask()).rejects.toMatchObject({ code: 'CV_UNAUTHENTICATED' });
  });

  test('cannot leave: there is nothing to take out', async () => {
    await expect(service.leave(callWith(held))).rejects.toMatchObject({
      code: 'CV_NODE_NOT_FOUND',
    });
  });
});

describe('leaving', () => {
  test('removes the caller and nobody else', async () => {
    await service.leave(callWith(certificate));
    expect(cluster.state.nodeById(worker)).toBeUndefined();
    expect(cluster.state.nodeById(FOUNDER_ID)).toBeDefined();
  });

  test('is not for managers, who are part of the quorum', async () => {
    const leaving = service.leave(callWith(cluster.founding.certificate));
    await expect(leaving).rejects.toMatchObject({ code: 'CV_ARGUMENT_INVALID' });
    expect(cluster.state.nodeById(FOUNDER_ID)).toBeDefined();
  });
});

describe('a worker that was promoted', () => {
  const own = generateNodeKey();

  function application(asked: { readonly provenBy?: NodeKey; readonly address?: string } = {}) {
    const said = {
      publicKey: own.spkiDer,
      clusterAddress: asked.address ?? 'one:7420',
      joinAddress: 'one:7421',
      staticPublicKey: createRecipientKeyPair(cluster.random).publicKey,
      signingPublicKey: new Uint8Array(32).fill(5),
    };
    const bound = { clusterId: CLUSTER_ID, nodeId: worker, serial: serialOf(certificate) };
    const transcript = encodePromotionTranscript({ ...said, ...bound });
    const proof = proveKey((asked.provenBy ?? own).privateKeyPem, transcript);
    const method = loadWire().Identity.BecomeManager;
    return method.decodeRequest(method.encodeRequest({ ...said, proof }));
  }

  const become = (request: BecomeManagerRequest) =>
    service.becomeManager(callWith(certificate), request);
  const promote = () => cluster.apply({ kind: 'node.set-role', id: worker, role: 'manager' });
  const roleOf = () => cluster.state.nodeById(worker)?.role;

  test('gets the certificate of a manager for its new key, and no secret', async () => {
    promote();
    expect(await service.getRole(callWith(certificate))).toEqual({
      role: 'worker',
      wantedRole: 'manager',
      managers: [expect.objectContaining({ nodeId: FOUNDER_ID, address: '127.0.0.1:7420' })],
    });
    const answer = await become(application());
    const chain = { leafDer: answer.certificate as Uint8Array };
    const rootDer = cluster.founding.rootCertificate;
    expect(
      verifyChain({ ...chain, rootDer, now: cluster.time.now(), usage: 'server' }),
    ).toMatchObject({ id: worker, role: 'manager' });
    expect(answer.raftId).toBe(cluster.state.nodeById(worker)?.manager?.raftId);
    expect(answer.managers?.map(({ nodeId }) => nodeId)).toEqual([FOUNDER_ID]);
    expect(Object.keys(answer).sort()).toEqual(['certificate', 'managers', 'raftId', 'recovery']);
    expect(roleOf()).toBe('manager');
  });

  test('does not renew what it was: that would replace the certificate of the manager', async () => {
    promote();
    await become(application());
    await expect(renew(certificate)).rejects.toMatchObject({ code: 'CV_ROLE_FORBIDDEN' });
  });

  test('is refused when nobody has promoted it', async () => {
    await expect(become(application())).rejects.toMatchObject({ code: 'CV_ROLE_FORBIDDEN' });
    expect(roleOf()).toBe('worker');
  });

  test('is refused with the proof of another key, and where it does not answer', async () => {
    promote();
    const other = generateNodeKey();
    await expect(become(application({ provenBy: other }))).rejects.toMatchObject({
      code: 'CV_ARGUMENT_INVALID',
    });
    isReachable = false;
    await expect(become(application())).rejects.toMatchObject({ code: 'CV_PEER_UNREACHABLE' });
    isReachable = true;
    await expect(become(application({ address: 'nowhere' }))).rejects.toMatchObject({
      code: 'CV_ARGUMENT_INVALID',
    });
    expect(roleOf()).toBe('worker');
  });
});
