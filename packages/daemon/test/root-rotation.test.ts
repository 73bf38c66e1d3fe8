import { X509Certificate } from 'node:crypto';
import { afterEach, expect, test } from '@jest/globals';
import { equalBytes, SILENT_LOGGER } from '@conclave/kernel';
import { generateNodeKey, isIssuedBy, verifyChain } from '@conclave/pki';
import type { CommandBody, CommandResult } from '@conclave/state';
import { CLUSTER_ID, FOUNDER_ID, FoundedCluster } from '../../manager/test/founded-cluster.js';
import { seededRandom } from '../../manager/test/scheduling/cluster.js';
import { Issuer } from '../../manager/src/identity/issuer.js';
import { rootDemandOf } from '../../manager/src/keys/root-demand.js';
import { RootRotation } from '../../manager/src/keys/root-rotation.js';
import type { IdentityFile, MemberIdentity } from '../src/identity-file.js';
import { MemberRecord } from '../src/member-record.js';
import { acceptRoots, RootFollower } from '../src/root-follower.js';

const LIMIT_MS = 60_000;
const NONE = new Uint8Array(0);

/** The rotation of a manager and a worker, with a crash at any of its steps. */
class Rotation {
  readonly cluster: FoundedCluster;
  readonly nodes: SimulatedNode[] = [];
  /** Steps that were taken. */
  stepCount = 0;
  crashCount = 0;
  /** Whoever takes the next step falls with it. */
  isLast: () => boolean = () => false;
  /** Whether what the last step did is kept. */
  isKept = false;
  #leader: RootRotation | undefined;

  private constructor(cluster: FoundedCluster) {
    this.cluster = cluster;
  }

  static async start(): Promise<Rotation> {
    const rotation = new Rotation(await FoundedCluster.running());
    const { cluster } = rotation;
    rotation.#add(FOUNDER_ID, cluster.founding.certificate, true);
    const row = cluster.state.cluster();
    if (row === undefined) throw new Error('no cluster');
    const { spkiDer } = generateNodeKey();
    const subject = { nodeId: 'worker'.padEnd(26, 'a'), role: 'worker', spkiDer } as const;
    const ring = cluster.keys.requireRing();
    const issued = await new Issuer(cluster.time, cluster.random).issue(row, ring, subject);
    cluster.addWorker('worker', { certificate: issued.row });
    rotation.#add(subject.nodeId, issued.der, false);
    rotation.lead();
    return rotation;
  }

  /** A new leader takes over. */
  lead(): void {
    this.#leader?.stop();
    const { keys, random, state, time } = this.cluster;
    const leader = new RootRotation({
      state,
      keys,
      propose: (body) => this.step(body, () => this.lead()),
      clock: time,
      timers: time,
      random,
      logger: SILENT_LOGGER,
    });
    this.#leader = leader;
    leader.start();
  }

  stop(): void {
    this.#leader?.stop();
    for (const node of this.nodes) node.stop();
  }

  /** One entry of the log, and perhaps the end of who asked for it. */
  async step(body: CommandBody, restart: () => void): Promise<CommandResult> {
    return this.take(() => {
      const result = this.cluster.apply(body);
      // Who hears of it learns it behind this entry, not within it.
      queueMicrotask(() => {
        this.#leader?.wake();
        for (const node of this.nodes) node.hear();
      });
      return result;
    }, restart);
  }

  /** Anything that lasts. */
  async take<T>(act: () => T, restart: () => void): Promise<T> {
    await Promise.resolve();
    this.stepCount += 1;
    const isLast = this.isLast();
    const done = isLast && !this.isKept ? undefined : act();
    this.expectUnderstanding();
    if (!isLast) return done as T;
    this.crashCount += 1;
    restart();
    throw new Error('it fell');
  }

  /** Every node accepts the certificate of every other one: no two trust nothing in common. */
  expectUnderstanding(): void {
    for (const left of this.nodes) {
      for (const right of this.nodes) expect(left.accepts(right)).toBe(true);
    }
  }

  get isDone(): boolean {
    const row = this.cluster.state.cluster();
    return row?.rootGeneration === 2 && row.rootRotation === undefined;
  }

  async finish(): Promise<void> {
    const turn = async (): Promise<void> => {
      for (let count = 0; count < 3; count += 1) await new Promise(setImmediate);
    };
    for (let passed = 0; !this.isDone && passed < LIMIT_MS; passed += 500) {
      await this.cluster.time.advance(500, turn);
      // Keys are made by threads of their own, in real time.
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(this.cluster.state.cluster()?.rootRotation).toBeUndefined();
  }

  #add(nodeId: string, certificateDer: Uint8Array, isManager: boolean): void {
    const { rootCertificate } = this.cluster.founding;
    const role = isManager ? 'manager' : 'worker';
    this.nodes.push(
      new SimulatedNode(this, {
        clusterId: CLUSTER_ID,
        nodeId,
        role,
        raftId: 0,
        certificateDer,
        rootsDer: [rootCertificate],
        crossDer: NONE,
        managers: [],
      }),
    );
  }
}

/** A host: what its disk holds, and what runs of it. */
class SimulatedNode {
  readonly #rotation: Rotation;
  readonly nodeId: string;
  #disk: MemberIdentity;
  #record: MemberRecord;
  #follower: RootFollower;

  constructor(rotation: Rotation, member: MemberIdentity) {
    this.#rotation = rotation;
    this.nodeId = member.nodeId;
    this.#disk = member;
    [this.#record, this.#follower] = this.#start();
  }

  get member(): MemberIdentity {
    return this.#record.current;
  }

  /** Verifies what the other one presents, as TLS does. */
  accepts(other: SimulatedNode): boolean {
    const now = this.#rotation.cluster.time.now();
    const [leafDer = NONE, crossDer] = other.#record.identity.current().certificatesDer;
    return this.#record.identity.current().rootsDer.some((rootDer) => {
      const ways = crossDer === undefined ? [{}] : [{}, { crossDer }];
      return ways.some((way) => {
        try {
          verifyChain({ leafDer, rootDer, now, usage: 'client', ...way });
          return true;
        } catch {
          return false;
        }
      });
    });
  }

  hear(): void {
    const demand = rootDemandOf(this.#rotation.cluster.state, this.nodeId);
    if (demand !== undefined) this.#follower.follow(demand);
  }

  restart(): void {
    this.stop();
    [this.#record, this.#follower] = this.#start();
    this.hear();
  }

  stop(): void {
    this.#follower.stop();
  }

  #start(): [MemberRecord, RootFollower] {
    const rotation = this.#rotation;
    const { time } = rotation.cluster;
    const file = {
      write: (member: MemberIdentity) =>
        rotation.take(
          () => {
            this.#disk = member;
          },
          () => this.restart(),
        ),
    };
    const record = new MemberRecord(file as unknown as IdentityFile, this.#disk, NONE);
    const follower = new RootFollower({
      record,
      isCommitted: this.#disk.role === 'manager',
      renew: () => this.#renew(record),
      confirm: async (step) => {
        const id = this.nodeId;
        const serial = rotation.cluster.state.nodeById(id)?.certificate.serial ?? '';
        await rotation.step({ kind: 'node.root', id, step, serial }, () => this.restart());
      },
      timers: time,
      logger: SILENT_LOGGER,
    });
    follower.start();
    return [record, follower];
  }

  async #renew(record: MemberRecord): Promise<void> {
    const { keys, random, state, time } = this.#rotation.cluster;
    const { nodeId: id, role } = this;
    const row = state.cluster();
    const usedSerial = state.nodeById(id)?.certificate.serial;
    if (row === undefined || usedSerial === undefined) throw new Error('no member');
    // As a manager does: the certificate is new, the key stays.
    const { publicKey } = new X509Certificate(record.current.certificateDer);
    const spkiDer = publicKey.export({ type: 'spki', format: 'der' });
    const issuer = new Issuer(time, random);
    const subject = { nodeId: id, role, spkiDer };
    const issued = await issuer.issue(row, keys.requireRing(), subject);
    const previousUntilMs = time.now() + 600_000;
    await this.#rotation.step(
      { kind: 'node.renew', id, usedSerial, certificate: issued.row, previousUntilMs },
      () => this.restart(),
    );
    await record.update({ certificateDer: issued.der });
  }

  get role(): 'manager' | 'worker' {
    return this.#disk.role;
  }
}

let rotation: Rotation | undefined;
afterEach(() => rotation?.stop());

async function rotate(isLast: Rotation['isLast'], isKept: boolean): Promise<Rotation> {
  rotation?.stop();
  rotation = await Rotation.start();
  Object.assign(rotation, { isLast, isKept });
  rotation.cluster.apply({ kind: 'root.rotate', distrustsFormer: false });
  rotation.lead();
  await rotation.finish();
  const root = rotation.cluster.state.cluster()?.rootCertificate ?? NONE;
  for (const { member } of rotation.nodes) {
    expect(member.rootsDer).toHaveLength(1);
    expect(equalBytes(member.rootsDer[0] ?? NONE, root)).toBe(true);
    expect([isIssuedBy(member.certificateDer, root), member.crossDer.length]).toEqual([true, 0]);
  }
  return rotation;
}

/** Steps that all managers and the worker take together, of which none was interrupted. */
const STEP_COUNT = 20;

test.each([
  ['kept', true],
  ['lost', false],
])(
  'a rotation ends under the new root whichever step ends its taker, with what it did %s',
  async (_what, isKept) => {
    for (let cut = 0; cut < STEP_COUNT; cut += 1) {
      let step = 0;
      const done = await rotate(() => step++ === cut, isKept);
      expect({ cut, crashes: done.crashCount }).toEqual({ cut, crashes: 1 });
    }
  },
  240_000,
);

test.each([1, 2, 3])(
  'a rotation ends under the new root though a third of its steps end whoever takes them (%d)',
  async (seed) => {
    const drawn = seededRandom(seed);
    const done = await rotate(() => drawn.below(3) === 0, seed % 2 === 0);
    expect(done.crashCount).toBeGreaterThan(3);
  },
  60_000,
);

test('a worker takes no root that none of its own has certified', async () => {
  const done = await rotate(() => false, false);
  expect(done.stepCount).toBe(STEP_COUNT);
  const { rootCertificate: before } = done.cluster.founding;
  const after = done.cluster.state.cluster()?.rootCertificate ?? NONE;
  const offered = { certificates: [before, after], cross: NONE };
  expect(() => acceptRoots([before], offered)).toThrow(/certified/);
  expect(acceptRoots([after], { ...offered, certificates: [after] })).toEqual([after]);
});
