import { describe, test } from '@jest/globals';
import fc from 'fast-check';
import type { ServiceRow, TaskRow } from '@conclave/state';
import { parseConstraints, satisfies } from '../../src/scheduling/constraints.js';
import { isSameRun } from '../../src/scheduling/task-kinds.js';
import { TestCluster } from './cluster.js';

const WORKERS = ['w1', 'w2', 'w3', 'w4'] as const;
const CONSTRAINTS = ['labels.zone==a', 'labels.zone!=b', 'node.hostname!=w1'];

type Step =
  | { kind: 'down' | 'ready' | 'remove' | 'join'; node: string }
  | { kind: 'availability'; node: string; to: 'active' | 'pause' | 'drain' }
  | { kind: 'zone'; node: string; to: string }
  | { kind: 'scale'; service: number; replicas: number }
  | { kind: 'spec'; service: number; word: string; order: 'stop-first' | 'start-first' }
  | { kind: 'constrain'; service: number; text: string | undefined }
  | { kind: 'removeService'; service: number }
  | { kind: 'obey'; rounds: number; fails: number }
  | { kind: 'wait'; ms: number }
  | { kind: 'restart' };

const node = fc.constantFrom(...WORKERS);
const service = fc.nat({ max: 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom('down' as const, 'ready' as const), node }),
  fc.record({ kind: fc.constantFrom('remove' as const, 'join' as const), node }),
  fc.record({
    kind: fc.constant('availability' as const),
    node,
    to: fc.constantFrom('active' as const, 'pause' as const, 'drain' as const),
  }),
  fc.record({ kind: fc.constant('zone' as const), node, to: fc.constantFrom('a', 'b') }),
  fc.record({ kind: fc.constant('scale' as const), service, replicas: fc.nat({ max: 6 }) }),
  fc.record({
    kind: fc.constant('spec' as const),
    service,
    word: fc.constantFrom('/bin/a', '/bin/b'),
    order: fc.constantFrom('stop-first' as const, 'start-first' as const),
  }),
  fc.record({
    kind: fc.constant('constrain' as const),
    service,
    text: fc.constantFrom(undefined, ...CONSTRAINTS),
  }),
  fc.record({ kind: fc.constant('removeService' as const), service }),
  fc.record({ kind: fc.constant('obey' as const), rounds: fc.nat({ max: 4 }), fails: fc.nat() }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(100, 5_000, 60_000) }),
  fc.record({ kind: fc.constant('restart' as const) }),
);

/** Two services and four workers, driven by steps that may make no sense at their time. */
class Run {
  readonly cluster: TestCluster = new TestCluster();
  readonly services: string[];
  /** Who each worker is now: a host that joins again after its removal gets a new id. */
  readonly #ids: Map<string, string> = new Map();
  #joinCount: number = 0;

  constructor() {
    for (const name of WORKERS) this.#join(name);
    this.services = [
      this.cluster.create({ name: 'one', replicas: 3 }),
      this.cluster.create({ name: 'all', mode: 'global', replicas: 0 }),
    ];
    this.cluster.scheduler.start();
  }

  async take(taken: Step): Promise<void> {
    const { cluster } = this;
    if (taken.kind === 'obey') {
      const fail = (task: TaskRow): boolean => (taken.fails + task.objectVersion) % 5 === 0;
      await cluster.obey({ fail, roundsMax: taken.rounds });
    } else if (taken.kind === 'wait') await cluster.advance(taken.ms);
    else if (taken.kind === 'restart') {
      cluster.scheduler.stop();
      cluster.scheduler.start();
    } else if ('service' in taken) this.#change(taken);
    else this.#disturb(taken);
    // Half of the time the scheduler has not seen the step when the next one comes.
    if (taken.kind !== 'scale' && taken.kind !== 'zone') await cluster.settle();
  }

  #disturb(taken: Exclude<Step, { service: number }>): void {
    const { cluster } = this;
    if (!('node' in taken)) return;
    const id = this.#ids.get(taken.node);
    if (taken.kind === 'join' && id === undefined) this.#join(taken.node);
    if (id === undefined) return;
    if (taken.kind === 'down') cluster.down(id);
    if (taken.kind === 'ready') cluster.ready(id);
    if (taken.kind === 'availability') cluster.updateNode(id, { availability: taken.to });
    if (taken.kind === 'zone') cluster.updateNode(id, { labelsSet: { zone: taken.to } });
    if (taken.kind !== 'remove') return;
    cluster.mustApply({ kind: 'node.remove', id, force: true });
    this.#ids.delete(taken.node);
  }

  #join(name: string): void {
    this.#joinCount += 1;
    const id = `${name}-${this.#joinCount}`;
    this.cluster.addWorker(id, {}, name);
    this.#ids.set(name, id);
  }

  #change(taken: Extract<Step, { service: number }>): void {
    const id = this.services[taken.service] ?? '';
    const row = this.cluster.state.serviceById(id);
    if (row === undefined || row.isRemoving) return;
    const { update } = row.spec;
    if (taken.kind === 'scale' && row.spec.mode === 'replicated') {
      this.cluster.update(id, { replicas: taken.replicas });
    }
    if (taken.kind === 'spec') {
      const next = { ...update, order: taken.order, failureAction: 'continue' } as const;
      this.cluster.update(id, { command: [taken.word], update: next });
    }
    if (taken.kind === 'constrain') {
      this.cluster.update(id, { constraints: taken.text === undefined ? [] : [taken.text] });
    }
    if (taken.kind === 'removeService') this.cluster.mustApply({ kind: 'service.remove', id });
  }

  /** Everybody obeys and nothing disturbs, until nothing more happens. */
  async stabilise(): Promise<void> {
    for (let turn = 0; turn < 12; turn += 1) {
      await this.cluster.obey();
      await this.cluster.advance(6_000);
    }
  }

  checkAlways(): void {
    for (const task of this.cluster.state.tasks()) {
      if (task.slot === 0 || task.state === 'NEW' || task.state === 'PENDING') continue;
      // What a node was given was right when it was given: the manager never runs tasks.
      if (task.nodeId === 'm1') throw new Error(`${task.id} is on a manager`);
    }
  }

  checkStable(): void {
    for (const id of this.services) {
      const row = this.cluster.state.serviceById(id);
      const wanted = this.cluster.wanted(id);
      if (row === undefined || row.isRemoving) {
        if (wanted.length > 0) throw new Error('a removed service still has tasks');
        continue;
      }
      if (row.spec.mode === 'replicated') this.#checkReplicated(id, wanted);
      else this.#checkGlobal(id, wanted);
      for (const task of wanted) this.#checkPlace(task);
      this.#checkCurrent(row, wanted);
      // On a node that is away, a start-first update of a global service waits half way.
      const counted = wanted.filter((task) => task.slot > 0 || this.#fits(task.nodeId, task));
      const places = counted.map((task) => `${task.slot}/${task.slot === 0 ? task.nodeId : ''}`);
      const doubleCount = places.length - new Set(places).size;
      if (doubleCount > this.#spareOf(id)) throw new Error('two tasks in one place');
    }
  }

  #checkReplicated(id: string, wanted: readonly TaskRow[]): void {
    const { spec } = this.cluster.service(id);
    if (wanted.length < spec.replicas || wanted.length > spec.replicas + this.#spareOf(id)) {
      throw new Error(`${wanted.length} live tasks, ${spec.replicas} wanted`);
    }
    for (const task of wanted) {
      const nodeState = this.cluster.state.nodeById(task.nodeId)?.state;
      if (task.nodeId !== '' && nodeState === 'DOWN') throw new Error('a live task on a DOWN node');
      const fitting = [...this.cluster.state.nodes()].some((row) => this.#fits(row.id, { spec }));
      if (fitting && task.state !== 'RUNNING') throw new Error(`${task.state} though a node fits`);
      if (!fitting && task.nodeId === '' && !task.message.startsWith('no node fits')) {
        throw new Error(`unexplained: ${task.message}`);
      }
    }
  }

  #checkGlobal(id: string, wanted: readonly TaskRow[]): void {
    const nodes = [...this.cluster.state.nodes()];
    const { spec } = this.cluster.service(id);
    for (const row of nodes) {
      if (!this.#fits(row.id, { spec })) continue;
      const here = wanted.filter((task) => task.nodeId === row.id);
      if (here.length !== 1 || here[0]?.state !== 'RUNNING') {
        throw new Error(`${here.length} tasks of a global service on ${row.id}`);
      }
    }
  }

  /** Once everything runs, it runs what was asked for last, unless an update was paused. */
  #checkCurrent(row: ServiceRow, wanted: readonly TaskRow[]): void {
    const counted = wanted.filter((task) => this.#fits(task.nodeId, task));
    if (row.updateState === 'paused' || counted.length < wanted.length) return;
    if (wanted.some((task) => task.state !== 'RUNNING')) return;
    if (wanted.some((task) => !isSameRun(task.spec, row.spec))) {
      throw new Error(`the update is ${row.updateState} and an old task runs`);
    }
    if (row.updateState === 'updating') throw new Error('the update does not end');
  }

  #fits(nodeId: string, task: Pick<TaskRow, 'spec'>): boolean {
    const row = this.cluster.state.nodeById(nodeId);
    return (
      row !== undefined &&
      row.role === 'worker' &&
      row.state === 'READY' &&
      row.availability === 'active' &&
      parseConstraints(task.spec.constraints).every((constraint) => satisfies(row, constraint))
    );
  }

  /** Start-first: one new task may wait for a node while the old one goes on. */
  #spareOf(id: string): number {
    const { order } = this.cluster.service(id).spec.update;
    return this.#isHeldUp(id) && order === 'start-first' ? 1 : 0;
  }

  #isHeldUp(id: string): boolean {
    const { updateState } = this.cluster.service(id);
    if (updateState === 'paused') return true;
    return updateState === 'updating' && this.cluster.wanted(id).some((task) => task.nodeId === '');
  }

  #checkPlace(task: TaskRow): void {
    const row = this.cluster.state.nodeById(task.nodeId);
    if (row === undefined) return;
    const { constraints } = this.cluster.service(task.serviceId).spec;
    const holds = parseConstraints(constraints).every((item) => satisfies(row, item));
    // The update of a global service leaves DOWN and paused nodes as they are; one that finds no
    // node for its new tasks, or was paused, leaves the old ones where they run.
    const isAway = row.state !== 'READY' || row.availability !== 'active';
    const isLeft = (task.slot === 0 && isAway) || this.#isHeldUp(task.serviceId);
    if (!holds && !isLeft) throw new Error(`${task.id} is on a node that it may not be on`);
    if (row.availability === 'drain') throw new Error(`${task.id} is on a drained node`);
  }
}

describe('whatever happens', () => {
  test('a cluster that is left alone becomes what was asked for', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
        const run = new Run();
        for (const taken of steps) {
          await run.take(taken);
          run.checkAlways();
        }
        await run.stabilise();
        run.checkStable();
      }),
      { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 60) },
    );
  }, 120_000);
});
