import { beforeAll, describe, expect, test } from '@jest/globals';
import { SILENT_LOGGER } from '@conclave/kernel';
import { openSealed } from '@conclave/sealed';
import { encodeCommand } from '@conclave/state';
import type { Command } from '@conclave/state';
import type { Entry, Snapshot } from 'raft-ts';
import { ReplicatedState } from '../../src/consensus/replicated-state.js';
import type { StateEvent } from '../../src/consensus/replicated-state.js';
import { seededRandom } from '../scheduling/cluster.js';
import { MemorySnapshots } from './memory-snapshots.js';

const token = (id: string): Command => ({
  kind: 'token.create',
  token: {
    id,
    role: 'worker',
    publicKey: new Uint8Array(32),
    createdAtMs: 1,
    expiresAtMs: 1_000,
    usesLeft: 1,
    needsApproval: false,
    addressRanges: [],
    hostnamePattern: '',
    isRevoked: false,
    admittedNodes: [],
    createdBy: { kind: 'admin', id: 'local' },
  },
  atMs: 1,
  by: { kind: 'admin', id: 'local' },
  request: undefined,
});

const entry = (index: number, command: Command): Entry => ({
  type: 'EntryNormal',
  term: 1,
  index,
  data: encodeCommand(command),
});

const asSnapshot = (data: Uint8Array, index: number): Snapshot => ({
  data,
  metadata: { index, term: 1, confState: { voters: [1] } as never },
});

class Bench {
  readonly snapshots = new MemorySnapshots();
  readonly events: StateEvent[] = [];
  state: ReplicatedState;
  #index = 0;
  readonly #random = seededRandom(3);

  constructor() {
    this.state = this.#create();
  }

  /** The process ends and starts again over the same disk. */
  restart(): void {
    this.state = this.#create();
  }

  async apply(count = 1): Promise<void> {
    for (let step = 0; step < count; step += 1) {
      this.#index += 1;
      await this.state.apply([entry(this.#index, token(`token${this.#index}`))]);
    }
  }

  /** Takes a snapshot as the driver does; the log refers to it only when `isStored`. */
  async snapshot(isStored = true): Promise<Snapshot> {
    const { data, index } = await this.state.snapshot();
    const snapshot = asSnapshot(data, index);
    if (isStored) await this.store(snapshot);
    return snapshot;
  }

  async store(snapshot: Snapshot): Promise<void> {
    this.state.snapshotStored(snapshot);
    await this.settle();
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  }

  #create(): ReplicatedState {
    const state = new ReplicatedState({
      snapshots: this.snapshots,
      random: this.#random,
      logger: SILENT_LOGGER,
    });
    state.listen((event) => this.events.push(event));
    return state;
  }
}

async function contentOf(snapshot: Snapshot, state: ReplicatedState): Promise<Uint8Array[]> {
  const { chunks, release } = state.openForSending(snapshot);
  const content: Uint8Array[] = [];
  for await (const chunk of chunks) content.push(chunk);
  release();
  return content;
}

async function* chunksOf(content: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of content) {
    await Promise.resolve();
    yield chunk;
  }
}

beforeAll(async () => {
  await openSealed();
});

describe('entries', () => {
  test('are applied in order, each answer is theirs, listeners hear of changes', async () => {
    const bench = new Bench();
    const results = await bench.state.apply([
      entry(3, token('one')),
      entry(4, token('one')),
      entry(5, token('two')),
    ]);
    expect(results.map((result) => result.ok)).toEqual([true, false, true]);
    expect(bench.state.state.appliedIndex).toBe(5);
    const indexes = bench.events.flatMap((event) =>
      event.kind === 'applied' ? [event.batch.index] : [],
    );
    expect(indexes).toEqual([3, 5]);
  });

  test('one that does not decode changes nothing, on this manager as on all', async () => {
    const bench = new Bench();
    const data = new Uint8Array([0x10, 0xff]);
    const unreadable: Entry = { type: 'EntryNormal', term: 1, index: 1, data };
    const results = await bench.state.apply([unreadable, entry(2, token('one'))]);
    expect(results).toMatchObject([{ ok: false, code: 'CV_INTERNAL' }, { ok: true }]);
    expect(bench.state.state.appliedIndex).toBe(2);
  });

  test.each([0x20, 0x11])('one of the newer format %i stops this manager', (format) => {
    const bench = new Bench();
    const data = new Uint8Array([format, 0xff]);
    expect(() => bench.state.apply([{ type: 'EntryNormal', term: 1, index: 1, data }])).toThrow(
      expect.objectContaining({ code: 'CV_PROTOCOL' }),
    );
  });

  test('wake who waits for an index, once, and never who has given up', async () => {
    const bench = new Bench();
    const woken: string[] = [];
    bench.state.whenApplied(2, () => woken.push('two'));
    bench.state.whenApplied(2, () => woken.push('gone'))();
    await bench.apply();
    expect(woken).toEqual([]);
    await bench.apply(3);
    expect(woken).toEqual(['two']);
    bench.state.whenApplied(4, () => woken.push('at once'));
    expect(woken).toEqual(['two', 'at once']);
  });
});

describe('snapshots', () => {
  test('restore the same tables, and listeners hear that they were replaced', async () => {
    const bench = new Bench();
    await bench.apply(3);
    const snapshot = await bench.snapshot();
    bench.restart();
    await bench.state.restore(snapshot);
    expect(bench.state.state.tokenById('token3')).toBeDefined();
    expect(bench.state.state.appliedIndex).toBe(3);
    expect(bench.events.at(-1)).toEqual({ kind: 'replaced' });
  });

  test('damaged content leaves the tables as they are', async () => {
    const bench = new Bench();
    await bench.apply(2);
    const snapshot = await bench.snapshot();
    bench.snapshots.chunks.set([...bench.snapshots.whole][0] as string, [new Uint8Array(9)]);
    await expect(bench.state.restore(snapshot)).rejects.toMatchObject({
      code: 'CV_SNAPSHOT_DAMAGED',
    });
    expect(bench.state.state.tokenById('token2')).toBeDefined();
    await bench.apply();
    expect(bench.events.at(-1)?.kind).toBe('applied');
  });

  test('carry what they come to: the marks go on from them', async () => {
    const bench = new Bench();
    await bench.apply(3);
    const snapshot = await bench.snapshot();
    await bench.apply(2);
    const { newest } = bench.state.marks;
    expect(newest).toMatchObject({ index: 5, digest: bench.state.state.digest() });
    const other = new Bench();
    await other.state.receive(snapshot, chunksOf(await contentOf(snapshot, bench.state)));
    await other.state.restore(snapshot);
    await other.state.apply([4, 5].map((index) => entry(index, token(`token${index}`))));
    expect(other.state.marks.newest).toEqual(newest);
  });

  test.each([
    ['a state of another index', 1, 9],
    ['another state', 4, '0123456789abcdef'],
  ])('%s than the descriptor says is refused before the log hears of it', async (...given) => {
    const [, place, value] = given;
    const leader = new Bench();
    await leader.apply(2);
    const snapshot = await leader.snapshot();
    const fields = JSON.parse(new TextDecoder().decode(snapshot.data)) as unknown[];
    fields[place] = value;
    const lie = asSnapshot(new TextEncoder().encode(JSON.stringify(fields)), 2);
    const bench = new Bench();
    const content = chunksOf(await contentOf(snapshot, leader.state));
    const damaged = { code: 'CV_SNAPSHOT_DAMAGED' };
    await expect(bench.state.receive(lie, content)).rejects.toMatchObject(damaged);
    expect(bench.snapshots.whole.size).toBe(0);
    await expect(leader.state.restore(lie)).rejects.toMatchObject(damaged);
    expect(leader.state.state.appliedIndex).toBe(2);
  });

  test('a malformed descriptor is refused', async () => {
    const bench = new Bench();
    const [id, chain] = ['a'.repeat(32), '0'.repeat(64)];
    const texts = [
      '',
      '[]',
      '["../x",1,1]',
      `["${id}",1,0]`,
      `["${id}",1.5,0,"${chain}","${'0'.repeat(16)}"]`,
      `["${id}",1,0,"${chain}","${'x'.repeat(16)}"]`,
      `["${id}",1,0,"0","${'0'.repeat(16)}"]`,
    ];
    for (const text of texts) {
      const snapshot = asSnapshot(new TextEncoder().encode(text), 1);
      await expect(bench.state.receive(snapshot, chunksOf([]))).rejects.toMatchObject({
        code: 'CV_SNAPSHOT_DAMAGED',
      });
    }
  });

  test('content that the log refers to outlives everything until the log has the next', async () => {
    const bench = new Bench();
    await bench.apply();
    const first = await bench.snapshot();
    // Received ones that Raft ignored must not push it out.
    const other = new Bench();
    await other.apply(5);
    for (let round = 0; round < 3; round += 1) {
      const received = await other.snapshot();
      await bench.state.receive(received, chunksOf(await contentOf(received, other.state)));
    }
    await bench.apply();
    await bench.snapshot(false);
    await bench.settle();
    // The process ends here: the log still names the first one.
    bench.restart();
    await bench.state.restore(first);
    expect(bench.state.state.appliedIndex).toBe(1);
  });

  test('one that was written and never referred to goes with a later one', async () => {
    const bench = new Bench();
    await bench.apply();
    await bench.snapshot(false);
    for (let round = 0; round < 3; round += 1) {
      await bench.apply();
      await bench.snapshot();
    }
    expect(bench.snapshots.whole.size).toBe(2);
  });

  test('one that is being sent stays until it is sent', async () => {
    const bench = new Bench();
    await bench.apply();
    const first = await bench.snapshot();
    const sending = bench.state.openForSending(first);
    const again = bench.state.openForSending(first);
    for (let round = 0; round < 4; round += 1) {
      await bench.apply();
      await bench.snapshot();
    }
    sending.release();
    await bench.apply();
    await bench.snapshot();
    let count = 0;
    for await (const chunk of again.chunks) count += chunk.length;
    expect(count).toBeGreaterThan(0);
    again.release();
    await bench.apply();
    await bench.snapshot();
    await expect(contentOf(first, bench.state)).rejects.toMatchObject({
      code: 'CV_SNAPSHOT_DAMAGED',
    });
  });

  test('the same one twice at once is refused, twice in a row is written once', async () => {
    const leader = new Bench();
    await leader.apply(2);
    const snapshot = await leader.snapshot();
    const content = await contentOf(snapshot, leader.state);
    const bench = new Bench();
    let finish: () => void = () => undefined;
    bench.snapshots.beforeEnd = () => new Promise((resolve) => (finish = resolve));
    const receiving = bench.state.receive(snapshot, chunksOf(content));
    await bench.settle();
    await expect(bench.state.receive(snapshot, chunksOf(content))).rejects.toMatchObject({
      code: 'CV_QUEUE_FULL',
    });
    finish();
    await receiving;
    // Other bytes under the same name must not reach what the log may refer to.
    const damaged = { code: 'CV_SNAPSHOT_DAMAGED' };
    const other = (): Promise<void> => bench.state.receive(snapshot, chunksOf([new Uint8Array(3)]));
    await expect(other()).rejects.toMatchObject(damaged);
    await bench.store(snapshot);
    await expect(other()).rejects.toMatchObject(damaged);
    await bench.state.receive(snapshot, chunksOf(content));
    await bench.state.restore(snapshot);
    expect(bench.state.state.appliedIndex).toBe(2);
  });

  test('half of one is removed, and the next attempt waits for the removal', async () => {
    const leader = new Bench();
    await leader.apply(2);
    const snapshot = await leader.snapshot();
    const content = await contentOf(snapshot, leader.state);
    const bench = new Bench();
    let remove: () => void = () => undefined;
    bench.snapshots.beforeRemoval = () => new Promise((resolve) => (remove = resolve));
    bench.snapshots.beforeEnd = () => Promise.reject(new Error('the stream broke'));
    await expect(bench.state.receive(snapshot, chunksOf(content))).rejects.toThrow('broke');
    bench.snapshots.beforeEnd = () => Promise.resolve();
    const again = bench.state.receive(snapshot, chunksOf(content));
    await bench.settle();
    expect(bench.snapshots.whole.size).toBe(0);
    remove();
    await again;
    await bench.state.restore(snapshot);
    expect(bench.state.state.appliedIndex).toBe(2);
  });
});
