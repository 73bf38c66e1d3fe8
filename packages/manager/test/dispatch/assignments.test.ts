import { beforeEach, describe, expect, test } from '@jest/globals';
import { limits } from '@conclave/kernel';
import type { FrameSealer } from '@conclave/sealed';
import { assignmentChunks } from '../../src/dispatch/assignment-chunks.js';
import { AssignmentSet } from '../../src/dispatch/assignment-set.js';
import { FoundedCluster } from '../founded-cluster.js';
import { chunkOf, frameEnds, ReceivingAgent, Workload } from './agent-side.js';

const EMPTY = { tasks: [], tasksRemoved: [], versions: [], versionsRemoved: [] };

/** A manager's side of one session, and the real agent's checks at the other end. */
class Bench {
  readonly set = new AssignmentSet();
  readonly work: Workload;
  readonly agent: ReceivingAgent;
  readonly node: string;
  readonly cluster: FoundedCluster;
  readonly #sealer: FrameSealer;
  readonly #held: ReadonlySet<string>;
  sequence = 0;
  chunkCount = 0;
  largestBytes = 0;

  constructor(cluster: FoundedCluster, held: readonly string[] = []) {
    this.cluster = cluster;
    this.work = new Workload(cluster);
    this.node = cluster.addWorker('one');
    const { sealer, opener } = frameEnds();
    this.#sealer = sealer;
    this.#held = new Set(held);
    this.agent = new ReceivingAgent(opener, held);
  }

  /** Brings the agent to what state says now; false when there is nothing to say. */
  deliver(): boolean {
    const { state, keys } = this.cluster;
    const wanted = state.assignments(this.node);
    const difference = this.set.advance(wanted);
    if (difference === undefined && this.sequence > 0) return false;
    const appliesTo = this.sequence;
    this.sequence += 1;
    const chunks = assignmentChunks({
      kind: appliesTo === 0 ? 'complete' : 'incremental',
      appliesTo,
      resultsIn: this.sequence,
      wanted,
      difference: difference ?? EMPTY,
      state: () => this.cluster.state,
      ring: () => keys.requireRing(),
      sealer: this.#sealer,
      isHeld: ({ secretId, version }) =>
        appliesTo === 0 && this.#held.has(`${secretId}@${version}`),
    });
    this.chunkCount = 0;
    this.largestBytes = 0;
    let isWhole = false;
    for (const chunk of chunks) {
      expect(isWhole).toBe(false);
      this.chunkCount += 1;
      this.largestBytes = Math.max(this.largestBytes, JSON.stringify(chunk.tasks ?? []).length);
      isWhole = this.agent.take(chunkOf(chunk));
    }
    expect(isWhole).toBe(true);
    return true;
  }

  valueOf(name: string, version: number): string | undefined {
    const id = this.cluster.state.secretByName(name)?.id ?? '';
    return this.agent.held.get(`${id}@${version}`);
  }
}

let bench: Bench;

beforeEach(async () => {
  bench = new Bench(await FoundedCluster.running());
});

describe('the first assignment of a session', () => {
  test('is complete, also when it is empty', () => {
    expect(bench.deliver()).toBe(true);
    expect(bench.agent.tasks()).toEqual({});
    expect(bench.deliver()).toBe(false);
  });

  test('has all tasks of the node and no others, and each value once', () => {
    const { work, node, cluster } = bench;
    work.secret('db', 'swordfish');
    work.secret('other', 'nobody asked');
    const other = cluster.addWorker('two');
    work.task(other, [work.binding('other')]);
    const first = work.task(node, [work.binding('db'), work.binding('db', { target: 'twice' })]);
    const second = work.task(node, [work.binding('db')]);
    bench.deliver();
    expect(bench.agent.tasks()).toEqual({ [first]: 'db,twice', [second]: 'db' });
    expect(bench.agent.held.size).toBe(1);
    expect(bench.valueOf('db', 1)).toBe('swordfish');
  });

  test('names what the agent holds and does not send it', async () => {
    const cluster = await FoundedCluster.running();
    const work = new Workload(cluster);
    const held = work.secret('held', 'known');
    work.secret('fresh', 'new to it');
    const again = new Bench(cluster, [`${held}@1`]);
    again.work.task(again.node, [work.binding('held'), work.binding('fresh')]);
    again.deliver();
    expect(again.agent.arrived).toEqual([`${cluster.state.secretByName('fresh')?.id ?? ''}@1`]);
    expect(again.valueOf('held', 1)).toBe('from before');
  });
});

describe('what follows', () => {
  test('is only what changed: a new version, not the old one again', () => {
    const { work, node } = bench;
    work.secret('db', 'one');
    work.secret('calm', 'same');
    work.task(node, [work.binding('db'), work.binding('calm')]);
    bench.deliver();
    work.secret('db', 'two');
    expect(bench.deliver()).toBe(true);
    expect(bench.agent.arrived).toHaveLength(1);
    expect(bench.valueOf('db', 2)).toBe('two');
    expect(bench.deliver()).toBe(false);
  });

  test('leaves a pinned binding where it is', () => {
    const { work, node } = bench;
    work.secret('db', 'one');
    work.task(node, [work.binding('db', { version: 1 })]);
    bench.deliver();
    work.secret('db', 'two');
    expect(bench.deliver()).toBe(false);
  });

  test('binds a value to all tasks that use it then', () => {
    const { work, node } = bench;
    work.secret('db', 'one');
    const first = work.task(node, [work.binding('db')]);
    bench.deliver();
    const second = work.task(node, [work.binding('db')]);
    bench.deliver();
    expect(bench.agent.arrived).toEqual([]);
    work.secret('db', 'two');
    bench.deliver();
    expect(bench.valueOf('db', 2)).toBe('two');
    expect(Object.keys(bench.agent.tasks()).sort()).toEqual([first, second].sort());
  });

  test('reports of the task itself are not told back to it', () => {
    const { work, node } = bench;
    work.secret('db', 'one');
    const id = work.task(node, [work.binding('db')]);
    bench.deliver();
    work.report(node, id, 'RUNNING');
    expect(bench.deliver()).toBe(false);
  });

  test('a task that is to end has no secrets, and its version is withdrawn', () => {
    const { work, node } = bench;
    work.secret('db', 'one');
    const id = work.task(node, [work.binding('db')]);
    bench.deliver();
    work.desire(id, 'SHUTDOWN');
    expect(bench.deliver()).toBe(true);
    expect(bench.agent.tasks()).toEqual({ [id]: 'end' });
    const secretId = bench.cluster.state.secretByName('db')?.id ?? '';
    expect(bench.set.has({ secretId, version: 1 })).toBe(false);
  });

  test('a task that ended by itself is told to stay so, and gets no value any more', () => {
    const { work, node } = bench;
    work.secret('db', 'one');
    const ended = work.task(node, [work.binding('db')]);
    const running = work.task(node, [work.binding('db')]);
    bench.deliver();
    work.report(node, ended, 'FAILED');
    work.secret('db', 'two');
    bench.deliver();
    expect(bench.agent.tasks()).toEqual({ [ended]: 'end', [running]: 'db' });
    expect(bench.valueOf('db', 2)).toBe('two');
    work.delete(ended);
    expect(bench.deliver()).toBe(true);
    expect(bench.agent.tasks()).toEqual({ [running]: 'db' });
  });
});

describe('a secret that cannot be delivered', () => {
  /** A task with one good binding and one to a version that was destroyed under it. */
  function taskWithout(fields: { readonly isOptional: boolean }): string {
    const { work, node, cluster } = bench;
    work.secret('db', 'one');
    const id = work.secret('gone', 'one');
    work.secret('gone', 'two');
    const gone = work.binding('gone', { version: 1, ...fields });
    const task = work.task(node, [work.binding('db'), gone]);
    cluster.apply({ kind: 'secret.destroy-version', id, version: 1, force: true });
    return task;
  }

  test('keeps its task from starting, with the reason, and sends nothing of it', () => {
    const id = taskWithout({ isOptional: false });
    bench.deliver();
    const task = bench.agent.assignment?.tasks.get(id);
    expect(task?.kind === 'run' && task.undeliverable).toMatch(/gone|destroyed|version/);
    expect(bench.agent.held.size).toBe(0);
  });

  test('is left out when the binding is optional', () => {
    const id = taskWithout({ isOptional: true });
    bench.deliver();
    expect(bench.agent.tasks()).toEqual({ [id]: 'db' });
    expect(bench.valueOf('db', 1)).toBe('one');
  });
});

describe('large assignments', () => {
  test('a large value arrives in parts, byte for byte', () => {
    const { work, node } = bench;
    const bytes = new Uint8Array(3 * limits.DELIVERY_PART_BYTES_MAX + 17);
    for (let place = 0; place < bytes.length; place += 1) bytes[place] = (place * 31) & 255;
    const text = Buffer.from(bytes).toString('latin1');
    work.secret('big', bytes);
    work.secret('small', 'little');
    work.task(node, [work.binding('big'), work.binding('small')]);
    bench.deliver();
    expect(bench.valueOf('big', 1) === text).toBe(true);
    expect(bench.valueOf('small', 1)).toBe('little');
    expect(bench.chunkCount).toBeGreaterThan(2);
  });

  test('many tasks come in chunks that a message can carry', () => {
    const { work, node } = bench;
    const env = { LONG: 'x'.repeat(60_000) };
    for (let count = 0; count < 40; count += 1) work.task(node, [], env);
    bench.deliver();
    expect(Object.keys(bench.agent.tasks())).toHaveLength(40);
    expect(bench.largestBytes).toBeLessThan(600 * 1024);
  });

  test('more items than one message may have', () => {
    const { work, node } = bench;
    work.secret('db', 'one');
    const count = limits.ASSIGNMENT_ITEMS_MAX + 3;
    const ids: string[] = [];
    for (let number = 0; number < count; number += 1) {
      ids.push(work.task(node, [work.binding('db')]));
    }
    bench.deliver();
    expect(Object.keys(bench.agent.tasks())).toHaveLength(count);
    for (const id of ids) work.desire(id, 'REMOVE');
    bench.deliver();
    expect(new Set(Object.values(bench.agent.tasks()))).toEqual(new Set(['end']));
    for (const id of ids) work.report(node, id, 'SHUTDOWN');
    for (const id of ids) work.delete(id);
    bench.deliver();
    expect(bench.agent.tasks()).toEqual({});
  });
});
