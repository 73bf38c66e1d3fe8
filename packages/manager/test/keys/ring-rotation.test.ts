import { beforeEach, describe, expect, test } from '@jest/globals';
import { SILENT_LOGGER } from '@conclave/kernel';
import { KeyRing, openSealed, SecretBytes } from '@conclave/sealed';
import type { CommandBody, CommandResult } from '@conclave/state';
import type { GetRingResponse } from '@conclave/wire';
import { ManagersService } from '../../src/consensus/managers-service.js';
import { createFreshKeys, ManagerKeys } from '../../src/keys/manager-keys.js';
import { RingKeeper } from '../../src/keys/ring-keeper.js';
import type { RingKeeperOptions } from '../../src/keys/ring-keeper.js';
import { RingRotation } from '../../src/keys/ring-rotation.js';
import {
  CLUSTER_ID,
  FOUNDER_ID,
  FoundedCluster,
  MemoryVault,
  newKeys,
} from '../founded-cluster.js';

const OTHERS = ['maab', 'maac'].map((name) => name.padEnd(26, 'b'));
const SECRET_COUNT = 150;

interface Member {
  readonly nodeId: string;
  readonly vault: CutVault;
  keys: ManagerKeys;
  isUp: boolean;
  /** Changes what it is answered for a ring. */
  distort: (answer: GetRingResponse) => GetRingResponse;
  end: AbortController;
}

/** A disk that takes so many writes, then none. */
class CutVault extends MemoryVault {
  left = Number.POSITIVE_INFINITY;
  writeCount = 0;

  override write(name: string, content: Uint8Array): Promise<void> {
    this.left -= 1;
    if (this.left < 0) return Promise.reject(new Error('the disk is full'));
    this.writeCount += 1;
    return super.write(name, content);
  }
}

/** Three managers over one state: what replication does is left out, what keys do is real. */
class Managers {
  readonly cluster: FoundedCluster;
  readonly members: Member[] = [];
  /** Kinds of commands at which a leader falls, before they are applied. */
  readonly failing = new Set<CommandBody['kind']>();
  /** The same, when they were applied and nobody has heard of it. */
  readonly unheard = new Set<CommandBody['kind']>();
  #rotation: RingRotation | undefined;

  private constructor(cluster: FoundedCluster) {
    this.cluster = cluster;
  }

  static async start(): Promise<Managers> {
    await openSealed();
    const managers = new Managers(await FoundedCluster.running());
    const { cluster } = managers;
    const { random } = cluster;
    const vault = new CutVault();
    for (const [name, content] of cluster.vault.files) vault.files.set(name, content);
    const founder = { clusterId: CLUSTER_ID, nodeId: FOUNDER_ID };
    managers.#add(
      FOUNDER_ID,
      vault,
      await ManagerKeys.open(vault, founder, cluster.keys.localKey.copy(), random),
    );
    for (const [place, nodeId] of OTHERS.entries()) {
      const own = new CutVault();
      const made = newKeys(createFreshKeys(random), random);
      const keys = await ManagerKeys.create(own, { clusterId: CLUSTER_ID, nodeId }, made, random);
      managers.#join(nodeId, place + 2, keys);
      managers.#add(nodeId, own, keys);
    }
    return managers;
  }

  /** Does not lead any more, or leads from now on. */
  lead(member: Member | undefined): void {
    this.#rotation?.stop();
    this.#rotation = undefined;
    if (member === undefined) return;
    const { time, random, state } = this.cluster;
    this.#rotation = new RingRotation({
      state,
      keys: member.keys,
      propose: (body) => this.#propose(body),
      clock: time,
      timers: time,
      random,
      logger: SILENT_LOGGER,
    });
    this.#rotation.start();
  }

  /** Ends a manager and starts it again from what its files hold. */
  async restart(member: Member): Promise<void> {
    member.end.abort();
    const localKey = member.keys.localKey.copy();
    member.keys.wipe();
    const owner = { clusterId: CLUSTER_ID, nodeId: member.nodeId };
    member.keys = await ManagerKeys.open(member.vault, owner, localKey, this.cluster.random);
    this.#keep(member);
  }

  /** Lets everything happen that happens within `ms`. */
  async pass(ms: number): Promise<void> {
    await this.cluster.time.advance(ms, async () => {
      for (let turn = 0; turn < 40; turn += 1) await Promise.resolve();
    });
  }

  setSecret(number: number): SecretBytes {
    const { state, random } = this.cluster;
    const ring = this.members[0]?.keys.requireRing();
    if (ring === undefined) throw new Error('no ring');
    ring.selectCurrent(state.cluster()?.ringKeyId ?? 0);
    const name = `s${number}`;
    const known = state.secretByName(name);
    const secretId = known?.id ?? name.padEnd(26, 'a');
    const version = (known?.latestVersion ?? 0) + 1;
    const value = SecretBytes.take(Uint8Array.from(Buffer.from(`value ${number}`)));
    const place = { clusterId: CLUSTER_ID, secretId, version };
    this.cluster.apply({
      kind: 'secret.set',
      newId: secretId,
      name,
      secretId,
      version,
      sealed: ring.sealValue({ ...place, value, random }),
      digest: ring.digestValue({ secretId, value }),
      compared: { keyId: ring.currentKeyId, digest: ring.digestValue({ secretId, value }) },
      labels: {},
      description: '',
      createOnly: false,
      force: false,
      objectVersion: 0,
    });
    return value;
  }

  /** The value of a secret, as this manager opens it for delivery. */
  open(member: Member, number: number): SecretBytes {
    const { state } = this.cluster;
    const row = state.secretByName(`s${number}`);
    const { id: secretId = '', currentVersion: version = 0 } = row ?? {};
    const sealed = state.secretVersion(secretId, version)?.sealed;
    if (sealed === undefined) throw new Error('no value');
    const place = { clusterId: CLUSTER_ID, secretId, version };
    return member.keys.requireRing().openValue({ ...place, sealed });
  }

  get phase(): string {
    return this.cluster.state.cluster()?.ringRotation?.phase ?? 'none';
  }

  #join(nodeId: string, raftId: number, keys: ManagerKeys): void {
    const { cluster } = this;
    const founder = cluster.state.nodeById(FOUNDER_ID);
    if (founder?.manager === undefined) throw new Error('no founder');
    const {
      role: _r,
      wantedRole: _w,
      waiting: _n,
      tokenId: _t,
      objectVersion: _v,
      ...rest
    } = founder;
    const tokenId = `t${raftId}`;
    const token = { id: tokenId, role: 'manager', publicKey: new Uint8Array(32) } as const;
    const ends = {
      expiresAtMs: 2e12,
      usesLeft: 1,
      needsApproval: false,
      addressRanges: [],
      hostnamePattern: '',
      isRevoked: false,
      admittedNodes: [],
    };
    const by = { createdAtMs: 0, createdBy: { kind: 'admin', id: 'a' } } as const;
    cluster.apply({ kind: 'token.create', token: { ...token, ...ends, ...by } });
    const certificate = {
      serial: nodeId,
      notAfterMs: 2e12,
      publicKeyHash: nodeId,
      root: 1,
      notBeforeMs: 0,
    };
    const manager = {
      ...founder.manager,
      raftId,
      staticPublicKey: keys.static.publicKey,
      ringGeneration: 0,
    };
    cluster.apply({
      kind: 'node.join',
      tokenId,
      node: { ...rest, id: nodeId, certificate, manager },
    });
  }

  #add(nodeId: string, vault: CutVault, keys: ManagerKeys): void {
    const end = new AbortController();
    const member: Member = { nodeId, vault, keys, isUp: true, end, distort: (answer) => answer };
    this.members.push(member);
    this.#keep(member);
  }

  #keep(member: Member): void {
    member.end = new AbortController();
    const { cluster } = this;
    const keeper = new RingKeeper({
      clusterId: CLUSTER_ID,
      nodeId: member.nodeId,
      keys: member.keys,
      ownSerial: () => serialOf(member),
      peers: this.#peersOf(member),
      state: () => cluster.state,
      commit: (body) => this.#propose(body),
      timers: cluster.time,
      logger: SILENT_LOGGER,
      signal: member.end.signal,
    });
    cluster.replicated.listen((event) => keeper.follow(event));
    keeper.start();
  }

  async #propose(body: CommandBody): Promise<CommandResult> {
    await Promise.resolve();
    if (this.failing.has(body.kind)) throw new Error('the leader fell');
    const result = this.cluster.apply(body);
    if (this.unheard.has(body.kind)) throw new Error('the leader fell');
    this.#rotation?.wake();
    return result;
  }

  /** The other managers, asked without a network; who is down does not answer. */
  #peersOf(member: Member): RingKeeperOptions['peers'] {
    const others = (): Member[] => this.members.filter((other) => other !== member);
    const ask = async (other: Member): Promise<GetRingResponse> => {
      if (!other.isUp) throw new Error('unreachable');
      const service = new ManagersService({
        state: () => this.cluster.state,
        keys: other.keys,
        confirm: () => Promise.resolve(),
        clock: this.cluster.time,
        random: this.cluster.random,
        logger: SILENT_LOGGER,
      } as never);
      const identity = { id: member.nodeId, serial: serialOf(member) };
      const peer = { kind: 'certificate', identity };
      return member.distort((await service.getRing({ peer } as never)) as GetRingResponse);
    };
    const found = (nodeId: string): Member | undefined =>
      others().find((other) => other.nodeId === nodeId);
    return {
      list: () => others().map(({ nodeId }) => ({ nodeId, raftId: 0, address: '' })),
      byNodeId: (nodeId: string) => {
        const other = found(nodeId);
        return other && { unary: () => ask(other) };
      },
    } as never;
  }
}

const serialOf = ({ nodeId }: Member): string => `serial of ${nodeId}`;

let managers: Managers;

beforeEach(async () => {
  managers = await Managers.start();
  await managers.pass(1_000);
});

/** Nothing is left under the first version, anywhere. */
function expectRotated(): void {
  const { state } = managers.cluster;
  const cluster = state.cluster();
  expect(cluster?.ringRotation).toBeUndefined();
  const keyId = cluster?.ringKeyId ?? 0;
  expect(keyId).toBeGreaterThan(1);
  expect([cluster?.rootKeyId, state.countOtherKeys(keyId)]).toEqual([keyId, 0]);
  for (const { keys } of managers.members) expect(keys.ring?.versions).toEqual([keyId]);
}

describe('a manager that joined', () => {
  test('asks for the ring, keeps it and says so', () => {
    for (const { nodeId, keys } of managers.members) {
      expect(keys.ring?.versions).toEqual([1]);
      expect(managers.cluster.state.nodeById(nodeId)?.manager?.ringGeneration).toBe(1);
    }
  });
});

test('a version that is newer than the tables say stays in the ring', async () => {
  const { cluster, members } = managers;
  const [member] = members;
  const place = { keyId: 2, generation: 2 };
  await member?.keys.saveRing(member.keys.requireRing().rotate(cluster.random, place));
  await managers.pass(5_000);
  expect(member?.keys.ring?.versions).toEqual([1, 2]);
});

describe('a ring that another manager gives', () => {
  /** The third manager without a ring, as after its join; answers are distorted for it. */
  async function without(distort: Member['distort']): Promise<Member> {
    const late = managers.members[2] as Member;
    late.vault.files.delete('keys/ring.sealed');
    late.distort = distort;
    await managers.restart(late);
    await managers.pass(5_000);
    return late;
  }

  test('is taken when it is what it says', async () => {
    expect((await without((answer) => answer)).keys.ring?.versions).toEqual([1]);
  });

  test.each<[string, Member['distort']]>([
    ['another generation', (answer) => ({ ...answer, generation: answer.generation + 1 })],
    ['another certificate', (answer) => ({ ...answer, serial: 'of somebody else' })],
  ])('is refused when its answer names %s', async (_what, distort) => {
    expect((await without(distort)).keys.ring).toBeUndefined();
  });

  test('is refused when it was sealed for another certificate of this manager', async () => {
    const old = { serial: '' };
    await without((answer) => {
      old.serial = answer.serial;
      return { ...answer, serial: OTHERS[1] as string };
    });
    expect(old.serial).not.toBe(OTHERS[1]);
    expect(managers.members[2]?.keys.ring).toBeUndefined();
  });

  test('is refused when its version of the right number is another one, without a rotation', async () => {
    const [first, second, late] = managers.members as [Member, Member, Member];
    for (const liar of [first, second]) {
      liar.end.abort();
      await liar.keys.saveRing(KeyRing.create(managers.cluster.random));
    }
    late.vault.files.delete('keys/ring.sealed');
    await managers.restart(late);
    await managers.pass(5_000);
    expect(late.keys.ring).toBeUndefined();
  });
});

describe('a rotation', () => {
  test('moves every value and the key of the root, while writes go on', async () => {
    const values: SecretBytes[] = [];
    for (let number = 0; number < SECRET_COUNT; number += 1)
      values.push(managers.setSecret(number));
    managers.lead(managers.members[0]);
    managers.cluster.apply({ kind: 'ring.rotate' });
    for (let number = 0; number < 40; number += 1) {
      await managers.pass(50);
      managers.setSecret(number % 5);
    }
    await managers.pass(5_000);
    expectRotated();
    const [, follower] = managers.members;
    if (follower === undefined) throw new Error('no follower');
    for (const [number, value] of values.entries()) {
      expect(managers.open(follower, number).equals(value)).toBe(true);
    }
    // A restart finds the same ring in its files.
    await managers.restart(follower);
    expect(managers.open(follower, 7).equals(values[7] as SecretBytes)).toBe(true);
    managers.lead(undefined);
  });

  test('waits for a manager that does not answer, and names it', async () => {
    const [leader, , late] = managers.members;
    if (late === undefined) throw new Error('no third manager');
    late.end.abort();
    managers.lead(leader);
    managers.cluster.apply({ kind: 'ring.rotate' });
    await managers.pass(60_000);
    expect(managers.phase).toBe('spreading');
    expect(managers.cluster.state.managersWithoutRing(2)).toHaveLength(1);
    expect(managers.cluster.state.cluster()?.ringKeyId).toBe(1);
    await managers.restart(late);
    await managers.pass(5_000);
    expectRotated();
    managers.lead(undefined);
  });

  test.each(['ring.offer', 'ring.activate', 'ring.rewrap', 'ring.retire', 'ring.finish'] as const)(
    'goes on under another leader when the first one falls at %s',
    async (step) => {
      const value = managers.setSecret(1);
      const [first, second] = managers.members;
      if (first === undefined || second === undefined) throw new Error('two managers');
      managers.failing.add(step);
      managers.lead(first);
      managers.cluster.apply({ kind: 'ring.rotate' });
      await managers.pass(5_000);
      expect(managers.phase).not.toBe('none');
      managers.lead(undefined);
      managers.failing.clear();
      await managers.restart(first);
      managers.lead(second);
      await managers.pass(5_000);
      expectRotated();
      for (const member of managers.members) {
        expect(managers.open(member, 1).equals(value)).toBe(true);
      }
      managers.lead(undefined);
    },
  );

  test.each(['ring.offer', 'ring.activate', 'ring.rewrap', 'ring.retire', 'ring.finish'] as const)(
    'goes on when the leader falls after %s was applied, and restarts from its files',
    async (step) => {
      const value = managers.setSecret(1);
      const [first, second] = managers.members as [Member, Member, Member];
      managers.unheard.add(step);
      managers.lead(first);
      managers.cluster.apply({ kind: 'ring.rotate' });
      await managers.pass(900);
      managers.lead(undefined);
      managers.unheard.clear();
      await managers.restart(first);
      managers.lead(second);
      await managers.pass(10_000);
      expectRotated();
      expect(managers.open(first, 1).equals(value)).toBe(true);
      managers.lead(undefined);
    },
  );

  test('goes on when a manager falls between its file and its word, at each of its writes', async () => {
    const value = managers.setSecret(1);
    const [leader, , other] = managers.members as [Member, Member, Member];
    managers.failing.add('node.membership');
    managers.lead(leader);
    managers.cluster.apply({ kind: 'ring.rotate' });
    // Nobody hears what they hold: all stand still with the file of the next phase written.
    for (let phase = 0; phase < 2; phase += 1) {
      await managers.pass(3_000);
      for (const member of managers.members) await managers.restart(member);
      await managers.pass(3_000);
      managers.failing.delete('node.membership');
      await managers.pass(500);
      managers.failing.add('node.membership');
    }
    managers.failing.clear();
    managers.lead(leader);
    await managers.pass(10_000);
    expectRotated();
    expect(managers.open(other, 1).equals(value)).toBe(true);
    managers.lead(undefined);
  });

  // The version that is offered or received, and the ring without the one before.
  test.each([
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ])('goes on when the disk of manager %d takes %d more writes, then all', async (place, left) => {
    const value = managers.setSecret(1);
    const [leader] = managers.members as [Member, Member, Member];
    const full = managers.members[place] as Member;
    const before = full.vault.writeCount;
    full.vault.left = left;
    managers.lead(leader);
    managers.cluster.apply({ kind: 'ring.rotate' });
    await managers.pass(5_000);
    expect(managers.phase).not.toBe('none');
    expect(full.vault.writeCount).toBe(before + left);
    expect(managers.open(full, 1).equals(value)).toBe(true);
    full.vault.left = Number.POSITIVE_INFINITY;
    await managers.pass(10_000);
    expectRotated();
    expect(managers.open(full, 1).equals(value)).toBe(true);
    managers.lead(undefined);
  });

  test('makes another version when the one that was offered is lost with its maker', async () => {
    const [first, second, third] = managers.members;
    if (first === undefined || second === undefined) throw new Error('two managers');
    for (const other of [second, third]) other?.end.abort();
    managers.lead(first);
    managers.cluster.apply({ kind: 'ring.rotate' });
    await managers.pass(2_000);
    expect(managers.phase).toBe('spreading');
    // It takes the only copy along.
    managers.lead(undefined);
    first.isUp = false;
    first.end.abort();
    const leaving = { membership: 'removing', ringGeneration: undefined } as const;
    for (const other of [second, third]) {
      const id = other?.nodeId ?? '';
      const voter = { membership: 'voter', ringGeneration: undefined } as const;
      managers.cluster.apply({ kind: 'node.membership', id, ...voter });
      const ready = { id, state: 'READY', message: '', session: undefined } as const;
      managers.cluster.apply({ kind: 'nodes.observe', nodes: [ready] });
    }
    managers.cluster.apply({ kind: 'node.membership', id: first.nodeId, ...leaving });
    for (const other of [second, third]) if (other !== undefined) await managers.restart(other);
    managers.lead(second);
    await managers.pass(20_000);
    expect(managers.cluster.state.cluster()?.ringRotation?.keyId).toBe(2);
    await managers.pass(20_000);
    expect(managers.cluster.state.cluster()).toMatchObject({ ringKeyId: 3 });
    expect(managers.cluster.state.cluster()?.ringRotation).toBeUndefined();
    expect([second, third].map((member) => member?.keys.ring?.versions)).toEqual([[3], [3]]);
    managers.lead(undefined);
  });
});
