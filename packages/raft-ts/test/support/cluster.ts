import type { ConfChange, ConfState, Message, NodeId, Snapshot } from '../../src/index.js';
import { ProposalDroppedError, StepError } from '../../src/index.js';
import { bytes } from './bytes.js';
import type { MemberOptions } from './member.js';
import { Member } from './member.js';
import { randomOf } from './random.js';

const EMPTY: ConfState = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

const ROUNDS_MAX = 2_000;

export interface ClusterOptions {
  readonly voters: readonly NodeId[];
  readonly learners?: readonly NodeId[];
  readonly config?: Omit<MemberOptions, 'random'>;
  readonly seed?: number;
}

/** Nodes and the messages between them. Nothing happens by itself. */
export class Cluster {
  readonly members = new Map<NodeId, Member>();
  inFlight: Message[] = [];
  /** Decides which messages arrive; the others are lost. */
  arrives: (message: Message) => boolean = () => true;
  readonly #options: ClusterOptions;
  readonly #random: (n: number) => number;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.#random = randomOf(options.seed ?? 1);
    const confState = {
      ...EMPTY,
      voters: options.voters,
      learners: options.learners ?? [],
    };
    const start: Snapshot = { data: bytes('[]'), metadata: { index: 1, term: 1, confState } };
    for (const id of [...options.voters, ...(options.learners ?? [])]) this.#add(id, start);
  }

  #add(id: NodeId, start: Snapshot): Member {
    const member = new Member(id, start, { random: this.#random, ...this.#options.config });
    this.members.set(id, member);
    return member;
  }

  /** A node that knows nothing yet. */
  addBlank(id: NodeId): Member {
    return this.#add(id, {
      data: bytes('[]'),
      metadata: { index: 0, term: 0, confState: EMPTY },
    });
  }

  member(id: NodeId): Member {
    const member = this.members.get(id);
    if (member === undefined) throw new Error(`no member ${id}`);
    return member;
  }

  node(id: NodeId): Member['node'] {
    return this.member(id).node;
  }

  /** Steps a message into its receiver, as a host does. */
  deliver(message: Message): void {
    const target = this.members.get(message.to);
    if (target === undefined) return;
    if (message.type === 'MsgSnap') this.node(message.from).reportSnapshot(message.to, 'finish');
    try {
      target.node.step(message);
    } catch (error) {
      // Hosts log these and go on.
      if (!(error instanceof StepError || error instanceof ProposalDroppedError)) throw error;
    }
  }

  /** Handles all Readys and storage work there is. */
  process(): boolean {
    let isBusy = false;
    for (const member of this.members.values()) {
      if (member.node.hasReady()) {
        this.inFlight.push(...member.handleReady());
        isBusy = true;
      }
      while (member.appendWork.length > 0) this.inFlight.push(...member.finishAppend());
      while (member.applyWork.length > 0) this.inFlight.push(...member.finishApply());
    }
    return isBusy;
  }

  /** Goes on until nothing happens any more. */
  settle(): void {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const isBusy = this.process();
      const messages = this.inFlight;
      this.inFlight = [];
      for (const message of messages) {
        // What a node tells itself does not touch the network.
        const isLocal = message.from === message.to || !this.members.has(message.from);
        if (isLocal || this.arrives(message)) this.deliver(message);
      }
      if (!isBusy && messages.length === 0) return;
    }
    throw new Error('the cluster does not come to rest');
  }

  tick(id: NodeId, count = 1): void {
    for (let i = 0; i < count; i++) this.node(id).tick();
  }

  /** Lets time pass for everybody. */
  tickAll(count = 1): void {
    for (let i = 0; i < count; i++) {
      for (const id of this.members.keys()) this.tick(id);
      this.settle();
    }
  }

  elect(id: NodeId): void {
    this.node(id).campaign();
    this.settle();
    const role = this.role(id);
    if (role !== 'StateLeader') throw new Error(`member ${id} is ${role}`);
  }

  propose(id: NodeId, payload: string): void {
    this.node(id).propose(bytes(payload));
  }

  change(id: NodeId, change: ConfChange): void {
    this.node(id).proposeConfChange(change);
    this.settle();
  }

  role(id: NodeId): string {
    return this.node(id).basicStatus().raftState;
  }

  leaders(): NodeId[] {
    return [...this.members.keys()].filter((id) => this.role(id) === 'StateLeader');
  }

  /** Messages between these nodes and the others are lost. */
  isolate(...ids: readonly NodeId[]): void {
    this.arrives = ({ from, to }) => ids.includes(from) === ids.includes(to);
  }

  heal(): void {
    this.arrives = () => true;
  }

  applied(): Record<NodeId, readonly string[]> {
    return Object.fromEntries([...this.members].map(([id, { applied }]) => [id, applied]));
  }
}
