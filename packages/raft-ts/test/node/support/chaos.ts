import type { ConfChangeType } from '../../../src/index.js';
import type { ProposalResult } from '../../../src/node/index.js';
import { SimCluster } from './sim-cluster.js';
import type { SimMember } from './sim-cluster.js';
import { command } from './test-machine.js';

/** What one run has seen, to be sure that it was no idle one. */
export interface ChaosSummary {
  readonly applied: number;
  readonly rejected: number;
  readonly unknown: number;
  readonly reads: number;
  readonly kills: number;
  readonly restores: number;
  readonly terms: number;
}

const LIMITS = { snapshotEntries: 40, keepEntries: 5, messageSizeMax: 200, writeSizeMax: 2_000 };
const VOTERS = [1, 2, 3];

/**
 * Clients and faults at random, repeatable by seed: crashes that lose or keep unsynced writes,
 * partitions, loss, duplicates and reordering of messages, slow and stuck disks, clocks that stand
 * still, transfers, and a fourth member that comes and goes.
 *
 * Throws when an invariant is violated, or when the cluster does not recover.
 */
export class Chaos {
  readonly #cluster: SimCluster;
  readonly #outcomes = new Map<string, ProposalResult>();
  readonly #open = new Set<Promise<unknown>>();
  readonly #problems: string[] = [];
  #lossPercent = 0;
  #acknowledged = 0;
  #proposals = 0;
  #reads = 0;
  #kills = 0;
  #isFourthBooted = false;
  #stuckUntilMs = new Map<number, number>();

  constructor(seed: number) {
    this.#cluster = new SimCluster({
      seed,
      node: { limits: LIMITS },
      delayMs: (random) => (random(10) === 0 ? random(150) : 1 + random(8)),
      duplicate: (random) => random(50) === 0,
    });
  }

  async run(steps: number): Promise<ChaosSummary> {
    const { world } = this.#cluster;
    for (const id of VOTERS) await this.#boot(id, VOTERS);
    await this.#cluster.leader();
    for (let i = 0; i < steps; i++) {
      await this.#step();
      await world.advance(world.random(200));
      this.#checkRunning();
    }
    await this.#recover();
    return this.#summary();
  }

  async #step(): Promise<void> {
    const { world } = this.#cluster;
    const running = this.#cluster.running;
    const member = running[world.random(running.length)];
    const dice = world.random(100);
    if (member !== undefined && dice < 55) this.#propose(member);
    else if (member !== undefined && dice < 75) this.#read(member);
    else if (dice < 79) this.#killSomebody();
    else if (dice < 84) await this.#bootSomebody();
    else if (dice < 87) this.#cut();
    else if (dice < 90) this.#heal();
    else if (member !== undefined && dice < 92) {
      this.#stuckUntilMs.set(member.id, world.nowMs + world.random(4_000));
    } else if (member !== undefined && dice < 94) {
      member.clock.isPaused = !member.clock.isPaused;
    } else if (member !== undefined && dice < 97) await this.#changeMembers(member);
    else if (member !== undefined) {
      this.#watch(member.node!.transferLeadership(1 + world.random(4)).catch(() => undefined));
    }
  }

  #propose(member: SimMember): void {
    const { world } = this.#cluster;
    const count = 1 + world.random(6);
    for (let i = 0; i < count; i++) {
      const text = `p${++this.#proposals}`;
      const outcome = member.node!.propose(command(text)).then((result) => {
        this.#outcomes.set(text, result);
        if (result.outcome === 'applied') {
          this.#acknowledged = Math.max(this.#acknowledged, result.index);
        }
      });
      this.#watch(outcome);
    }
  }

  #read(member: SimMember): void {
    const before = this.#acknowledged;
    const { machine } = member;
    const read = member.node!.linearizableRead().then((index) => {
      this.#reads += 1;
      const { index: seen } = machine;
      if (seen < before) this.#problems.push(`read of ${seen} although ${before} was acknowledged`);
      if (index < before) this.#problems.push(`read index ${index} before ${before}`);
    });
    this.#watch(read.catch(() => undefined));
  }

  #killSomebody(): void {
    const { world, running } = this.#cluster;
    const member = running[world.random(running.length)];
    if (member === undefined) return;
    this.#kills += 1;
    this.#cluster.kill(member.id, world.random(3));
  }

  async #bootSomebody(): Promise<void> {
    const down = [...this.#cluster.members.values()].filter(({ node }) => node === undefined);
    const member = down[this.#cluster.world.random(down.length)];
    if (member !== undefined) await this.#boot(member.id);
  }

  async #boot(id: number, bootstrap?: readonly number[]): Promise<void> {
    const { world } = this.#cluster;
    const member = await this.#cluster.boot(id, bootstrap);
    const wait = (): Promise<void> => {
      const stuckMs = (this.#stuckUntilMs.get(id) ?? 0) - world.nowMs;
      const ms = stuckMs > 0 ? stuckMs : world.random(10) === 0 ? world.random(100) : 0;
      return new Promise((resolve) => world.after(ms, resolve));
    };
    member.store.hooks.beforeWrite = wait;
    member.store.hooks.afterWrite = () => (world.random(4) === 0 ? wait() : undefined);
    member.machine.beforeApply = () => (world.random(4) === 0 ? wait() : undefined);
    member.machine.afterCapture = wait;
  }

  #cut(): void {
    const { world } = this.#cluster;
    const side = [1, 2, 3, 4].filter(() => world.random(2) === 0);
    const isOneWay = world.random(3) === 0;
    this.#lossPercent = world.random(2) * world.random(20);
    this.#cluster.filter = ({ from, to }) => {
      if (world.random(100) < this.#lossPercent) return false;
      if (side.includes(from) === side.includes(to)) return true;
      return isOneWay && side.includes(from);
    };
  }

  #heal(): void {
    this.#cluster.heal();
    for (const { clock } of this.#cluster.members.values()) clock.isPaused = false;
  }

  async #changeMembers(member: SimMember): Promise<void> {
    if (!this.#isFourthBooted) {
      this.#isFourthBooted = true;
      await this.#boot(4);
    }
    const types: ConfChangeType[] = [
      'ConfChangeAddLearnerNode',
      'ConfChangeAddNode',
      'ConfChangeAddLearnerNode',
    ];
    const type = types[this.#cluster.world.random(types.length)]!;
    const change = { type, nodeId: 4 };
    const { random } = this.#cluster.world;
    const proposal =
      random(3) === 0
        ? ({ version: 2, transition: 'jointImplicit', changes: [change] } as const)
        : ({ version: 1, change } as const);
    this.#watch(member.node!.proposeConfChange(proposal).catch(() => undefined));
  }

  #watch(promise: Promise<unknown>): void {
    this.#open.add(promise);
    void promise.then(() => this.#open.delete(promise));
  }

  #checkRunning(): void {
    this.#cluster.check();
    for (const { id, failure } of this.#cluster.members.values()) {
      if (failure !== undefined)
        throw new Error(`member ${id}: ${failure.message}`, { cause: failure });
    }
    if (this.#problems.length > 0) throw new Error(this.#problems.join('\n'));
  }

  /** The faults end; everything must come to rest, and every promise must have been kept. */
  async #recover(): Promise<void> {
    const { world, members } = this.#cluster;
    this.#heal();
    this.#stuckUntilMs.clear();
    for (const { id, node } of members.values()) if (node === undefined) await this.#boot(id);
    if (members.has(4)) await this.#admitFourth();
    const leader = await this.#cluster.leader(VOTERS);
    const last = await world.result(this.#cluster.node(leader).propose(command('last')));
    if (last.outcome !== 'applied') throw new Error(`the last proposal: ${last.outcome}`);
    await this.#cluster.converge(last.index);
    await world.until('every call is answered', () => this.#open.size === 0);
    await this.#cluster.end();
    this.#checkRunning();
    this.#checkOutcomes();
  }

  /** Whatever became of the changes so far: in the end it is a learner. */
  async #admitFourth(): Promise<void> {
    const { world } = this.#cluster;
    const change = { type: 'ConfChangeAddLearnerNode', nodeId: 4 } as const;
    for (let attempt = 0; attempt < 20; attempt++) {
      await world.advance(1_000);
      const leader = await this.#cluster.leader(VOTERS).catch(() => 4);
      const proposal = this.#cluster.node(leader).proposeConfChange({ version: 1, change });
      const state = await world.result(proposal).catch(() => undefined);
      if (state !== undefined) return;
    }
    throw new Error('the fourth member could not be admitted');
  }

  #checkOutcomes(): void {
    const indexes = new Map<string, number>();
    for (const [index, text] of this.#cluster.history) {
      if (indexes.has(text)) throw new Error(`${text} was committed twice`);
      indexes.set(text, index);
    }
    for (const [text, result] of this.#outcomes) {
      const index = indexes.get(text);
      if (result.outcome === 'applied' && index !== result.index) {
        throw new Error(`${text} was acknowledged at ${result.index}, committed at ${index}`);
      }
      if (result.outcome === 'rejected' && index !== undefined) {
        throw new Error(`${text} was rejected (${result.reason}), committed at ${index}`);
      }
    }
  }

  #summary(): ChaosSummary {
    const outcomes = [...this.#outcomes.values()].map(({ outcome }) => outcome);
    const members = [...this.#cluster.members.values()];
    const count = (wanted: string): number => outcomes.filter((o) => o === wanted).length;
    return {
      applied: count('applied'),
      rejected: count('rejected'),
      unknown: count('unknown'),
      reads: this.#reads,
      kills: this.#kills,
      restores: members.flatMap(({ confChanges }) => confChanges).filter((e) => !e.change).length,
      terms: Math.max(...members.flatMap(({ roles }) => roles).map(({ term }) => term)),
    };
  }
}
