import type { ConfState, Logger, NetworkMessage, RaftError } from '../../../src/index.js';
import { Node } from '../../../src/node/index.js';
import type { ConfChangeEvent, NodeOptions, RoleChange } from '../../../src/node/index.js';
import { MemoryLogStore } from '../../../src/node/memory-log-store.js';
import { checkDurability } from './durability-ledger.js';
import { SimClock, SimWorld, seededRandom, settle } from './sim-world.js';
import { TestMachine, blobName } from './test-machine.js';
import type { Command } from './test-machine.js';

/** One member across its lives. */
export interface SimMember {
  readonly id: number;
  store: MemoryLogStore;
  machine: TestMachine;
  clock: SimClock;
  /** Undefined while it is down. */
  node: Node | undefined;
  /** Counts starts, so that what a dead life still does can be told apart. */
  life: number;
  readonly blobs: Map<string, readonly Command[]>;
  readonly roles: RoleChange[];
  readonly confChanges: ConfChangeEvent[];
  readonly sent: NetworkMessage[];
  failure: RaftError | undefined;
}

/** Options of a simulated cluster. */
export interface SimClusterOptions {
  readonly seed?: number;
  readonly size?: number;
  readonly node?: Partial<NodeOptions>;
  /** Delay of each message in ms; default 1. */
  readonly delayMs?: (random: (n: number) => number) => number;
  /** Whether a message arrives a second time; default never. */
  readonly duplicate?: (random: (n: number) => number) => boolean;
  readonly logger?: Logger;
}

/**
 * A cluster in one process: members with the real driver and core, memory stores, a network with
 * delays and cuts, one simulated time. Every message is checked against what is durable.
 */
export class SimCluster {
  readonly world: SimWorld;
  readonly members = new Map<number, SimMember>();
  /** What is committed, by index, as the first member applied it. */
  readonly history = new Map<number, string>();
  /** Return false to lose a message. */
  filter: (message: NetworkMessage) => boolean = () => true;
  readonly violations: string[] = [];
  readonly #options: SimClusterOptions;
  #lives = 0;

  constructor(options: SimClusterOptions = {}) {
    this.#options = options;
    this.world = new SimWorld(options.seed ?? 1);
  }

  /** Creates a cluster and waits until its first leader has committed an entry. */
  static async start(options: SimClusterOptions = {}): Promise<SimCluster> {
    const cluster = new SimCluster(options);
    const ids = Array.from({ length: options.size ?? 3 }, (_, i) => i + 1);
    for (const id of ids) await cluster.boot(id, ids);
    await cluster.leader();
    await cluster.world.advance(200);
    return cluster;
  }

  /** Starts a new member, or an old one with what it has stored. */
  async boot(
    id: number,
    bootstrap?: readonly number[],
    overrides: Partial<NodeOptions> = {},
  ): Promise<SimMember> {
    const member = this.members.get(id) ?? this.#create(id);
    if (member.node !== undefined) throw new Error(`member ${id} is up`);
    const life = ++this.#lives;
    member.life = life;
    member.machine = this.#watched(new TestMachine(`${id}.${life}`, member.blobs), member);
    member.clock = new SimClock(this.world);
    member.failure = undefined;
    const random = seededRandom(this.world.random(2 ** 31));
    const node = await Node.start({
      id,
      store: member.store,
      stateMachine: member.machine,
      transport: { send: (messages) => this.#send(member, life, messages) },
      clock: member.clock,
      random,
      onRoleChange: (change) => member.roles.push(change),
      onConfChange: (event) => void member.confChanges.push(event),
      ...(bootstrap === undefined ? {} : { bootstrap: bootstrap.map((peer) => ({ id: peer })) }),
      ...(this.#options.logger === undefined ? {} : { logger: this.#options.logger }),
      ...this.#options.node,
      ...overrides,
    });
    member.node = node;
    void node.fatal.then((error) => {
      if (member.life === life) member.failure = error;
    });
    return member;
  }

  /** Ends a member as a loss of power would. */
  kill(id: number, keepUnsynced = 0): SimMember {
    const member = this.member(id);
    const node = this.node(id);
    member.node = undefined;
    member.life = 0;
    member.store = member.store.crash(keepUnsynced);
    // Whatever still runs of it is a ghost: its store is dead and its messages are lost.
    void node.stop();
    return member;
  }

  async restart(id: number, keepUnsynced = 0): Promise<SimMember> {
    this.kill(id, keepUnsynced);
    return this.boot(id);
  }

  member(id: number): SimMember {
    const member = this.members.get(id);
    if (member === undefined) throw new Error(`no member ${id}`);
    return member;
  }

  node(id: number): Node {
    const { node } = this.member(id);
    if (node === undefined) throw new Error(`member ${id} is down`);
    return node;
  }

  /** Members that are up and have not failed. */
  get running(): SimMember[] {
    return [...this.members.values()].filter(
      ({ node, failure }) => node !== undefined && failure === undefined,
    );
  }

  /** Waits until a member leads the highest term, and says who. */
  async leader(among: readonly number[] = [...this.members.keys()]): Promise<number> {
    let leader = 0;
    await this.world.until(`a leader among ${among.join(', ')}`, () => {
      const states = this.running
        .filter(({ id }) => among.includes(id))
        .map(({ node }) => node!.status());
      const term = Math.max(...states.map((state) => state.term));
      const found = states.find((s) => s.raftState === 'StateLeader' && s.term === term);
      leader = found?.id ?? 0;
      return found !== undefined && states.every((s) => s.lead === leader);
    });
    return leader;
  }

  /** Any members but this one. */
  others(id: number): number[] {
    return [...this.members.keys()].filter((other) => other !== id);
  }

  /** Lets messages pass only within groups. */
  partition(...groups: readonly (readonly number[])[]): void {
    this.filter = ({ from, to }) => groups.some((g) => g.includes(from) && g.includes(to));
  }

  heal(): void {
    this.filter = () => true;
  }

  /** Waits until all running members have applied the same commands, at least to `index`. */
  async converge(index = 0): Promise<void> {
    await this.world.until('all members have the same state', () => {
      const indexes = this.running.map(({ node }) => node!.driverStatus().applied);
      return indexes.every((applied) => applied >= index && applied === indexes[0]);
    });
  }

  /** Throws what the checks have found, and checks that states are equal at equal indexes. */
  check(): void {
    if (this.violations.length > 0) throw new Error(this.violations.join('\n'));
    for (const { id, machine } of this.members.values()) {
      for (const { index, text } of machine.commands) {
        const known = this.history.get(index);
        if (known !== text) throw new Error(`member ${id} has ${text} at ${index}, not ${known}`);
      }
    }
  }

  /** Stops everything and checks. */
  async end(): Promise<void> {
    for (const { hooks } of [...this.members.values()].map(({ store }) => store)) {
      delete hooks.beforeWrite;
    }
    const stops = this.running.map(({ node }) => node!.stop());
    await this.world.result(Promise.all(stops));
    this.check();
  }

  confState(id: number): ConfState | undefined {
    return this.member(id).confChanges.at(-1)?.confState;
  }

  #create(id: number): SimMember {
    const blobs = new Map<string, readonly Command[]>();
    const member: SimMember = {
      id,
      store: new MemoryLogStore(),
      machine: new TestMachine('', blobs),
      clock: new SimClock(this.world),
      node: undefined,
      life: 0,
      blobs,
      roles: [],
      confChanges: [],
      sent: [],
      failure: undefined,
    };
    this.members.set(id, member);
    return member;
  }

  #watched(machine: TestMachine, member: SimMember): TestMachine {
    const apply = machine.apply.bind(machine);
    machine.apply = async (entries) => {
      const results = await apply(entries);
      for (const { index, data } of entries) {
        const text = new TextDecoder().decode(data);
        const known = this.history.get(index);
        if (known === undefined) this.history.set(index, text);
        else if (known !== text) {
          this.violations.push(`member ${member.id} applied ${text} at ${index}, not ${known}`);
        }
      }
      return results;
    };
    return machine;
  }

  #send(member: SimMember, life: number, messages: readonly NetworkMessage[]): void {
    for (const message of messages) {
      if (member.life !== life) return;
      member.sent.push(message);
      try {
        checkDurability(message, member.store.durable);
      } catch (error) {
        this.violations.push(String(error));
      }
      if (message.type === 'MsgSnap') this.#sendSnapshot(life, message);
      else this.#deliver(message);
      if (this.#options.duplicate?.(this.world.random) === true) this.#deliver(message);
    }
  }

  #delayMs(): number {
    return this.#options.delayMs?.(this.world.random) ?? 1;
  }

  #deliver(message: NetworkMessage): void {
    if (message.type === 'MsgSnap' || !this.filter(message)) return;
    this.world.after(this.#delayMs(), () => {
      if (this.filter(message)) this.members.get(message.to)?.node?.receive(message);
    });
  }

  /** The host's part: the state travels first, then the message, then the report. */
  #sendSnapshot(life: number, message: NetworkMessage): void {
    const name = blobName(message.snapshot!);
    const from = this.member(message.from);
    const state = from.blobs.get(name);
    this.world.after(this.#delayMs() + 20, () => {
      const to = this.members.get(message.to);
      const isArriving = state !== undefined && to?.node !== undefined && this.filter(message);
      if (isArriving) {
        to.blobs.set(name, state);
        to.node!.receive(message);
      }
      if (from.life !== life) return;
      from.node?.reportSnapshot(message.to, isArriving ? 'finish' : 'failure');
    });
  }
}

export { settle };
