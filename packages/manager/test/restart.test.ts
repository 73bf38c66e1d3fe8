import { beforeAll, describe, expect, test } from '@jest/globals';
import { intakeContext } from '@conclave/client';
import { SILENT_LOGGER } from '@conclave/kernel';
import { generateNodeKey } from '@conclave/pki';
import { sealIntake, SecretBytes } from '@conclave/sealed';
import { ReplaceableIdentity } from '@conclave/transport';
import { MemoryLogStore } from 'raft-ts/testing';
import { ManagerKeys } from '../src/keys/manager-keys.js';
import { KeySlots, recoveryDraft } from '../src/keys/slots.js';
import { Manager } from '../src/manager.js';
import { MemorySnapshots } from './consensus/memory-snapshots.js';
import { CALL } from './control/cluster.js';
import { CLUSTER_ID, FoundedCluster, FOUNDER_ID, MemoryVault } from './founded-cluster.js';
import { seededRandom } from './scheduling/cluster.js';
import { SimulatedTime } from './simulated-time.js';

const OWNER = { clusterId: CLUSTER_ID, nodeId: FOUNDER_ID };
const SECRETS = ['one', 'two', 'three'];
/** Milliseconds for an election and a whole rotation. */
const ROTATION_MS = 8_000;
/** Turns of the event loop in which everything is done that waits for no timer. */
const TURNS = 4;

type Image = ConstructorParameters<typeof MemoryLogStore>[1];

/** What a loss of power leaves on the disk of a manager. */
interface Disk {
  readonly log: Image;
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** How far a rotation of the ring was. */
  readonly phase: string;
}

/** Nobody else counts the writes of the only manager. */
class Log extends MemoryLogStore {
  readonly writeCounter = 0;
  readonly syncedCounter = 0;
}

class Vault extends MemoryVault {
  onWritten: () => void = () => undefined;

  override async write(name: string, content: Uint8Array): Promise<void> {
    await super.write(name, content);
    this.onWritten();
  }
}

let cluster: FoundedCluster;

/** One life of the only manager of a cluster. */
class Life {
  readonly #time = new SimulatedTime();
  readonly #random = seededRandom(3);
  readonly #vault = new Vault();
  readonly #log: Log;
  readonly #isFirst: boolean;
  /** Steps of the roots that it is asked for, in their order. */
  readonly steps: number[] = [];
  #keys: ManagerKeys | undefined;
  #manager: Manager | undefined;

  constructor(disk?: Disk) {
    for (const [name, content] of disk?.files ?? cluster.vault.files) {
      this.#vault.files.set(name, content);
    }
    this.#isFirst = disk === undefined;
    this.#log = new Log({}, disk?.log);
  }

  get manager(): Manager {
    if (this.#manager === undefined) throw new Error('not started');
    return this.#manager;
  }

  get ringVersions(): readonly number[] {
    return this.#keys?.ring?.versions ?? [];
  }

  async start(): Promise<void> {
    const [random, vault] = [this.#random, this.#vault];
    const keys = await ManagerKeys.open(vault, OWNER, cluster.keys.localKey.copy(), random);
    this.#keys = keys;
    const tools = { clock: this.#time, random };
    const { founding, founderKey } = cluster;
    const drafts = [recoveryDraft(founding.body.cluster.recovery)];
    const first = { localKey: keys.localKey, drafts, tools };
    const slots = await (this.#isFirst
      ? KeySlots.create(vault, OWNER, first)
      : KeySlots.open(vault, OWNER, tools));
    const starting = Manager.start({
      ...OWNER,
      raftId: 1,
      ...(this.#isFirst ? { founding: founding.body } : {}),
      identity: new ReplaceableIdentity({
        certificatesDer: [founding.certificate],
        privateKeyPem: founderKey.privateKeyPem,
        rootsDer: [founding.rootCertificate],
      }),
      keys,
      slots,
      localKeyHolder: {
        localKey: keys.localKey,
        renew: () => Promise.reject(new Error('no recovery key is replaced here')),
      },
      log: this.#log,
      snapshots: new MemorySnapshots(),
      known: [],
      version: '1.0.0',
      dial: () => Promise.resolve(true),
      checkRoom: () => undefined,
      clock: this.#time,
      timers: this.#time,
      random,
      logger: SILENT_LOGGER,
      schedule: (run) => void setImmediate(run),
      // Entry by entry, so that who looks too early sees every state that there was.
      limits: { applyingSizeMax: 1 },
    });
    const started = starting.then((manager) => {
      this.#manager = manager;
      manager.followCluster(({ roots }) => void this.steps.push(roots.step));
    });
    await this.pass(200);
    await started;
  }

  async pass(ms: number): Promise<void> {
    await this.#time.advance(ms, async () => {
      for (let turn = 0; turn < TURNS; turn += 1) await new Promise(setImmediate);
    });
  }

  /** What a loss of power would leave now. */
  disk(): Disk {
    const phase = this.manager.state.cluster()?.ringRotation?.phase ?? 'none';
    return { log: this.#log.durable as Image, files: new Map(this.#vault.files), phase };
  }

  /** Keeps what is on the disk after each write from now on. */
  record(): Disk[] {
    const disks: Disk[] = [];
    const note = (): void => void disks.push(this.disk());
    this.#log.hooks.afterWrite = note;
    this.#vault.onWritten = note;
    return disks;
  }

  async setSecret(name: string): Promise<void> {
    const value = SecretBytes.take(new TextEncoder().encode(`value of ${name}`));
    const publicKey = this.#keys?.requireRing().intakePublicKey() ?? new Uint8Array(0);
    const place = { publicKey, clusterId: CLUSTER_ID, context: intakeContext(name) };
    const sealedValue = sealIntake({ ...place, value, random: this.#random });
    const set = this.manager.control.Secrets['set'];
    const request = { name, sealedValue, labels: {}, description: '', createOnly: false };
    await this.#done(
      set?.({ ...request, force: false, objectVersion: 0, idempotencyKey: '' } as never, CALL),
    );
  }

  async rotate(what: 'rotateRing' | 'rotateRoot'): Promise<void> {
    const rotate = this.manager.control.Cluster[what];
    const request = { idempotencyKey: '', distrustsFormer: false };
    await this.#done(rotate?.(request as never, CALL));
  }

  /** What the rotation is for, and what a lost version would cost: every value and the root. */
  async expectRotated(): Promise<void> {
    const { state } = this.manager;
    const row = state.cluster();
    const keyId = row?.ringKeyId ?? 0;
    expect({ rotation: row?.ringRotation, versions: this.ringVersions }).toEqual({
      rotation: undefined,
      versions: [keyId],
    });
    const ring = this.#keys?.requireRing();
    for (const name of SECRETS) {
      const { id: secretId = '', currentVersion: version = 0 } = state.secretByName(name) ?? {};
      const sealed = state.secretVersion(secretId, version)?.sealed;
      if (sealed === undefined || ring === undefined) throw new Error('no value');
      const value = ring.openValue({ clusterId: CLUSTER_ID, secretId, version, sealed });
      expect(value.use((bytes) => Buffer.from(bytes).toString())).toBe(`value of ${name}`);
    }
    const issued = await this.manager.ownCertificate.issue(generateNodeKey().spkiDer);
    expect(issued.der.length).toBeGreaterThan(0);
  }

  async stop(): Promise<void> {
    const stopping = this.manager.stop();
    await this.pass(100);
    await stopping;
  }

  async #done(work: unknown): Promise<void> {
    const done = Promise.resolve(work);
    let isOpen = true;
    const settled = done.finally(() => {
      isOpen = false;
    });
    while (isOpen) await this.pass(100);
    await settled;
  }
}

let disks: Disk[];

beforeAll(async () => {
  cluster = await FoundedCluster.create();
  const life = new Life();
  await life.start();
  for (const name of SECRETS) await life.setSecret(name);
  disks = life.record();
  await life.rotate('rotateRing');
  await life.pass(ROTATION_MS);
  await life.expectRotated();
  await life.stop();
});

describe('the only manager, after a loss of power at any write of a rotation of the ring', () => {
  test('there is one in every phase', () => {
    const phases = new Set(disks.map(({ phase }) => phase));
    expect([...phases]).toEqual(
      expect.arrayContaining(['offering', 'spreading', 'rewrapping', 'retiring', 'none']),
    );
  });

  test('has every value and the key of the root, and ends what it began', async () => {
    for (const disk of disks) {
      const life = new Life(disk);
      await life.start();
      await life.pass(ROTATION_MS);
      const wasAsked = life.manager.state.cluster()?.ringKeyId !== 1;
      if (wasAsked) await life.expectRotated();
      else expect(life.ringVersions).toEqual([1]);
      await life.stop();
    }
  });
});

test('a manager that starts is asked for no step of the roots that is over', async () => {
  const before = new Life();
  await before.start();
  await before.rotate('rotateRoot');
  // Making a root takes other threads, and as many turns as they need.
  while (before.steps.at(-1) !== 1) await before.pass(100);
  const after = new Life(before.disk());
  await before.stop();
  await after.start();
  await after.pass(ROTATION_MS);
  expect(new Set(after.steps)).toEqual(new Set([1]));
  await after.stop();
});
