import { beforeEach, describe, expect, test } from '@jest/globals';
import { encodeBase32, SILENT_LOGGER } from '@conclave/kernel';
import { generateNodeKey, identityOf, proveKey, rootPin, verifyChain } from '@conclave/pki';
import type { NodeKey } from '@conclave/pki';
import { createSigningKey, hash, signJoin } from '@conclave/sealed';
import type { ParsedToken } from '@conclave/sealed';
import type { CommandBody, TokenRow } from '@conclave/state';
import { loadWire } from '@conclave/wire';
import type { JoinRequest, JoinRequestInput, JoinResponseInput } from '@conclave/wire';
import { Issuer } from '../../src/identity/issuer.js';
import { JoinService } from '../../src/identity/join-service.js';
import { encodeJoinTranscript } from '../../src/identity/join-transcript.js';
import type { JoinTranscript } from '../../src/identity/join-transcript.js';
import { createFreshKeys } from '../../src/keys/manager-keys.js';
import { callOf } from '../calls.js';
import { CLUSTER_ID, FoundedCluster, FOUNDER_ID } from '../founded-cluster.js';

const REFUSED = 'the join token is unknown, used, expired, revoked or not for this host';
const HOUR_MS = 3_600_000;

/** A host with a token in front of the join service of a running cluster. */
class Bench {
  readonly cluster: FoundedCluster;
  readonly service: JoinService;
  readonly dialled: string[] = [];
  isReachable = true;
  /** Runs while the manager waits for the leader's word. */
  onConfirm: () => void = () => undefined;
  confirms = 0;
  /** How often something was put together to be signed or checked. */
  transcripts = 0;
  /** Why tokens were refused, as the log says. */
  readonly reasons: string[] = [];

  constructor(cluster: FoundedCluster) {
    this.cluster = cluster;
    const { time, random, keys, proposer } = cluster;
    this.service = new JoinService({
      state: () => cluster.state,
      keys,
      issuer: new Issuer(time, random),
      proposer,
      confirm: () => {
        this.confirms += 1;
        this.onConfirm();
        return Promise.resolve();
      },
      serverCertificateHash: () => {
        this.transcripts += 1;
        return hash(cluster.founding.certificate);
      },
      dial: (address) => {
        this.dialled.push(address);
        return Promise.resolve(this.isReachable);
      },
      clock: time,
      random,
      logger: {
        ...SILENT_LOGGER,
        warn: (event, fields) => {
          if (event === 'join.refused') this.reasons.push(String(fields?.['reason']));
        },
      },
    });
  }

  /** A token, and the entry that makes it known. */
  makeToken(
    role: 'worker' | 'manager',
    uses = 1,
    allowed: Partial<TokenRow> = {},
  ): { token: ParsedToken; body: CommandBody } {
    const { random, founding, time } = this.cluster;
    const id = random.bytes(8);
    const { publicKey, privateKey: seed } = createSigningKey(random);
    const token: ParsedToken = { role, pin: rootPin(founding.rootCertificate), id, seed };
    const body: CommandBody = {
      kind: 'token.create',
      token: {
        id: encodeBase32(id),
        role,
        publicKey,
        createdAtMs: time.now(),
        createdBy: { kind: 'admin', id: 'local' },
        expiresAtMs: time.now() + HOUR_MS,
        usesLeft: uses,
        needsApproval: false,
        addressRanges: [],
        hostnamePattern: '',
        isRevoked: false,
        admittedNodes: [],
        ...allowed,
      },
    };
    return { token, body };
  }

  token(role: 'worker' | 'manager', uses = 1, allowed: Partial<TokenRow> = {}): ParsedToken {
    const { token, body } = this.makeToken(role, uses, allowed);
    this.cluster.apply(body);
    return token;
  }

  /** A request as a host makes it, changed before or after it was signed. */
  async request(
    token: ParsedToken,
    changes: {
      readonly said?: JoinRequestInput;
      readonly sent?: JoinRequestInput;
      readonly key?: NodeKey;
      readonly provenBy?: NodeKey;
    } = {},
  ): Promise<JoinRequest> {
    const challenge = await this.service.challenge();
    const key = changes.key ?? generateNodeKey();
    const fresh = token.role === 'manager' ? createFreshKeys(this.cluster.random) : undefined;
    const said = {
      tokenId: token.id,
      nonce: challenge.nonce ?? new Uint8Array(0),
      publicKey: key.spkiDer,
      hostname: 'beta',
      platformOs: 'linux',
      version: '1.0.0',
      clusterAddress: fresh === undefined ? '' : '10.0.0.2:7420',
      joinAddress: fresh === undefined ? '' : '10.0.0.2:7421',
      staticPublicKey: fresh?.static.publicKey ?? new Uint8Array(0),
      signingPublicKey: fresh?.signing.publicKey ?? new Uint8Array(0),
      ...changes.said,
    };
    const transcript = encodeJoinTranscript({
      ...(said as JoinTranscript),
      clusterId: CLUSTER_ID,
      serverCertificateHash: challenge.serverCertificateHash ?? new Uint8Array(0),
    });
    const method = loadWire().Join.Join;
    const bytes = method.encodeRequest({
      ...said,
      proof: proveKey((changes.provenBy ?? key).privateKeyPem, transcript),
      signature: signJoin(token.seed, transcript),
      ...changes.sent,
    });
    return method.decodeRequest(bytes);
  }

  async join(...args: Parameters<Bench['request']>): Promise<JoinResponseInput> {
    return this.service.join(callOf(), await this.request(...args));
  }
}

let bench: Bench;

beforeEach(async () => {
  bench = new Bench(await FoundedCluster.running());
});

const nodeCount = (): number => [...bench.cluster.state.nodes()].length;

async function refused(joining: Promise<unknown>, code: string, message?: string): Promise<void> {
  const nodes = nodeCount();
  await expect(joining).rejects.toMatchObject({
    code,
    ...(message === undefined ? {} : { message }),
  });
  expect(nodeCount()).toBe(nodes);
}

describe('a worker', () => {
  test('gets a certificate for its key, and one use of the token is gone', async () => {
    const token = bench.token('worker', 2);
    const key = generateNodeKey();
    const answer = await bench.join(token, { key });
    const { founding, state, time } = bench.cluster;
    const identity = verifyChain({
      leafDer: answer.certificate as Uint8Array,
      rootDer: founding.rootCertificate,
      now: time.now(),
      usage: 'client',
    });
    expect(identity).toMatchObject({ id: answer.nodeId, role: 'worker', clusterId: CLUSTER_ID });
    const node = state.nodeById(answer.nodeId ?? '');
    expect(node).toMatchObject({ role: 'worker', state: 'UNKNOWN', hostname: 'beta' });
    expect(node?.certificate.serial).toBe(identity.serial);
    expect(state.tokenById(encodeBase32(token.id))).toMatchObject({
      usesLeft: 1,
      admittedNodes: [answer.nodeId],
    });
    expect(answer.managers?.map((manager) => manager.nodeId)).toEqual([FOUNDER_ID]);
    expect(bench.dialled).toEqual([]);
  });

  test('cannot climb: what it says of addresses and keys does not make it a manager', async () => {
    const token = bench.token('worker');
    const said = { clusterAddress: '10.0.0.2:7420', joinAddress: '10.0.0.2:7421' };
    const answer = await bench.join(token, { said });
    expect(answer).toMatchObject({ role: 'worker', raftId: 0 });
    expect(bench.cluster.state.nodeById(answer.nodeId ?? '')?.manager).toBeUndefined();
  });
});

describe('a manager', () => {
  test('is recorded as joining, with a Raft id that nobody has or had', async () => {
    const answer = await bench.join(bench.token('manager'));
    const node = bench.cluster.state.nodeById(answer.nodeId ?? '');
    expect(node?.manager).toMatchObject({
      membership: 'joining',
      ringGeneration: 0,
      raftId: answer.raftId,
      clusterAddress: '10.0.0.2:7420',
    });
    expect(bench.cluster.state.isRetiredRaftId(answer.raftId ?? 0)).toBe(true);
    expect(bench.dialled).toEqual(['10.0.0.2:7420']);
  });

  test('that does not answer at its address keeps its token', async () => {
    const token = bench.token('manager');
    bench.isReachable = false;
    await refused(bench.join(token), 'CV_PEER_UNREACHABLE');
    bench.isReachable = true;
    await expect(bench.join(token)).resolves.toMatchObject({ role: 'manager' });
  });

  test.each([
    ['an address without a port', { clusterAddress: '10.0.0.2' }],
    ['a port that is none', { joinAddress: '10.0.0.2:70000' }],
    ['a static key of no known kind', { staticPublicKey: new Uint8Array(1217) }],
    ['a cut static key', { staticPublicKey: new Uint8Array([1, 2, 3]) }],
    ['a signing key of another size', { signingPublicKey: new Uint8Array(31) }],
  ])('with %s is refused before anybody dials', async (_, said) => {
    await refused(bench.join(bench.token('manager'), { said }), 'CV_ARGUMENT_INVALID');
    expect(bench.dialled).toEqual([]);
  });
});

describe('a token', () => {
  // Attack row J05.
  test('that is used up, expired, revoked or unknown is refused with the same words', async () => {
    const used = bench.token('worker');
    await bench.join(used);
    await refused(bench.join(used), 'CV_TOKEN_INVALID', REFUSED);
    const revoked = bench.token('worker');
    bench.cluster.apply({ kind: 'token.revoke', id: encodeBase32(revoked.id) });
    await refused(bench.join(revoked), 'CV_TOKEN_INVALID', REFUSED);
    await refused(bench.join(bench.makeToken('worker').token), 'CV_TOKEN_INVALID', REFUSED);
    const expired = bench.token('worker');
    await bench.cluster.time.advance(HOUR_MS + 1, () => Promise.resolve());
    await refused(bench.join(expired), 'CV_TOKEN_INVALID', REFUSED);
  });

  test('that goes between the check and the entry is refused with the same words', async () => {
    const token = bench.token('worker');
    const request = await bench.request(token);
    // Both passed the first check before either reached the log.
    const both = [bench.service.join(callOf(), request), bench.join(token)];
    const outcomes = await Promise.allSettled(both);
    const failures = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [outcome.reason as Error] : [],
    );
    expect(failures).toHaveLength(1);
    expect(failures[0]).toMatchObject({ code: 'CV_TOKEN_INVALID', message: REFUSED });
  });

  test('for other addresses or names is refused with the same words, and not spent', async () => {
    const elsewhere = bench.token('worker', 1, { addressRanges: ['10.1.0.0/16', 'fd00::/8'] });
    await refused(bench.join(elsewhere), 'CV_TOKEN_INVALID', REFUSED);
    const named = bench.token('worker', 1, { hostnamePattern: 'web-*' });
    await refused(bench.join(named), 'CV_TOKEN_INVALID', REFUSED);
    expect(bench.reasons).toEqual(['does not admit this address', 'does not admit this host name']);
    const fitting = { addressRanges: ['10.1.0.0/16', '10.0.0.9'], hostnamePattern: 'b*' };
    const answer = await bench.join(bench.token('worker', 1, fitting));
    expect(answer.role).toBe('worker');
  });

  test('that is refused says why in the log, to nobody who does not hold it', async () => {
    const revoked = bench.token('worker', 1, { isRevoked: true });
    await refused(bench.join(revoked), 'CV_TOKEN_INVALID', REFUSED);
    const forged: ParsedToken = { ...bench.makeToken('worker').token, id: revoked.id };
    await refused(bench.join(forged), 'CV_TOKEN_INVALID', REFUSED);
    expect(bench.reasons).toEqual(['was revoked']);
  });

  test('of which this manager has not heard yet is waited for', async () => {
    const { token, body } = bench.makeToken('worker');
    bench.onConfirm = () => void bench.cluster.apply(body);
    await expect(bench.join(token)).resolves.toMatchObject({ role: 'worker' });
    expect(bench.confirms).toBe(1);
  });

  // Attack row J03: what is not known cannot be told by the work that it makes.
  test('with an id that nobody has costs no signature, whatever it is signed with', async () => {
    const known = bench.token('worker');
    const { token } = bench.makeToken('worker');
    const worked: number[] = [];
    for (const id of [token.id, Uint8Array.from([...token.id.slice(0, 7), 0]), known.id]) {
      const request = await bench.request({ ...token, id });
      const before = bench.transcripts;
      await refused(bench.service.join(callOf(), request), 'CV_TOKEN_INVALID', REFUSED);
      worked.push(bench.transcripts - before);
    }
    expect(worked).toEqual([0, 0, 1]);
  });

  test('whose seed somebody else guesses is refused with the same words', async () => {
    const token = bench.token('worker');
    const forged: ParsedToken = { ...bench.makeToken('worker').token, id: token.id };
    await refused(bench.join(forged), 'CV_TOKEN_INVALID', REFUSED);
  });
});

describe('a request', () => {
  test('answers a challenge once', async () => {
    const token = bench.token('worker', 5);
    const request = await bench.request(token);
    await bench.service.join(callOf(), request);
    await refused(bench.service.join(callOf(), request), 'CV_PROTOCOL');
    await refused(bench.join(token, { said: { nonce: new Uint8Array(32) } }), 'CV_PROTOCOL');
  });

  test.each([
    ['host name', { hostname: 'gamma' }],
    ['platform', { platformOs: 'plan9' }],
    ['cluster address', { clusterAddress: '10.9.9.9:7420' }],
    ['public key', { publicKey: generateNodeKey().spkiDer }],
    ['signature', { signature: new Uint8Array(64) }],
    ['cut signature', { signature: new Uint8Array(3).fill(1) }],
  ])('whose %s was changed on its way is refused', async (_, sent) => {
    await refused(bench.join(bench.token('worker'), { sent }), 'CV_TOKEN_INVALID', REFUSED);
  });

  test('with a key whose possession is not proven is refused', async () => {
    const other = generateNodeKey();
    const joining = bench.join(bench.token('worker'), { provenBy: other });
    await refused(joining, 'CV_ARGUMENT_INVALID');
  });

  test('with the key of another node is refused', async () => {
    const token = bench.token('worker', 2);
    const key = generateNodeKey();
    await bench.join(token, { key });
    await refused(bench.join(token, { key }), 'CV_ARGUMENT_INVALID');
    expect(bench.cluster.state.tokenById(encodeBase32(token.id))?.usesLeft).toBe(1);
  });

  test.each([
    ['a key that is garbage', { publicKey: new Uint8Array(91).fill(7) }],
    ['no key', { publicKey: new Uint8Array(0) }],
    ['no proof', { proof: new Uint8Array(0) }],
    ['no signature', { signature: new Uint8Array(0) }],
    ['a key that is too long', { publicKey: new Uint8Array(4_097) }],
    ['an empty host name', { hostname: '' }],
    ['a host name with a line break', { hostname: 'a\nb' }],
    ['a host name that is too long', { hostname: 'a'.repeat(256) }],
    ['a version with spaces', { version: 'one two' }],
  ])('with %s is refused, and nothing is spent', async (_, fields) => {
    const token = bench.token('worker');
    const { proof, signature, ...said } = fields as JoinRequestInput;
    const sent = { ...(proof && { proof }), ...(signature && { signature }) };
    await refused(bench.join(token, { said, sent }), 'CV_ARGUMENT_INVALID');
    expect(bench.cluster.state.tokenById(encodeBase32(token.id))?.usesLeft).toBe(1);
  });

  test('to a manager without state is sent on', async () => {
    const empty = new Bench(await FoundedCluster.create());
    expect(() => empty.service.challenge()).toThrow(
      expect.objectContaining({ code: 'CV_NO_LEADER' }),
    );
  });
});

test('certificates are of their role: managers may serve, workers may not', async () => {
  const { founding, time } = bench.cluster;
  const chain = { rootDer: founding.rootCertificate, now: time.now(), usage: 'server' } as const;
  const worker = await bench.join(bench.token('worker'));
  const leafDer = worker.certificate as Uint8Array;
  expect(() => verifyChain({ ...chain, leafDer })).toThrow('not that of a manager');
  const manager = await bench.join(bench.token('manager'));
  expect(verifyChain({ ...chain, leafDer: manager.certificate as Uint8Array }).role).toBe(
    'manager',
  );
  const lifeMs = (der: Uint8Array): number => identityOf(der).notAfterMs - time.now();
  expect(lifeMs(leafDer)).toBe(24 * HOUR_MS);
  expect(lifeMs(manager.certificate as Uint8Array)).toBe(7 * 24 * HOUR_MS);
});

test('a token that asks for approval lists a manager that is none yet', async () => {
  const bench = new Bench(await FoundedCluster.running());
  const { token, body } = bench.makeToken('manager', 1, { needsApproval: true });
  bench.cluster.apply(body);
  const answer = await bench.join(token);
  expect(answer).toMatchObject({ role: 'manager', waitsForApproval: true });
  const row = bench.cluster.state.nodeById(answer.nodeId ?? '');
  expect(row).toMatchObject({
    manager: undefined,
    waiting: { manager: { raftId: answer.raftId } },
  });
});
