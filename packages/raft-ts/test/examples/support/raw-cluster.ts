import type { Entry, HardState, Message, RawNode, Snapshot } from '../../../src/index.js';

/** One batch as the example hosts write it. */
export interface Batch {
  readonly snapshot: Snapshot | undefined;
  readonly entries: readonly Entry[];
  readonly hardState: HardState | undefined;
}

/** Both example hosts, as far as a test drives them. */
export interface Host {
  readonly node: RawNode;
  tick(): void;
  receive(message: Message): void;
  propose(command: Uint8Array): void;
  read(requestCtx: Uint8Array): void;
}

/** A disk in memory: what is not synced is gone after `crash`. */
export class TestDisk {
  #durable: Batch = { snapshot: undefined, entries: [], hardState: undefined };
  #current: Batch = this.#durable;

  write(batch: Batch, sync: boolean): void {
    const { snapshot, hardState } = this.#current;
    const first = batch.entries[0]?.index ?? Infinity;
    const old = batch.snapshot === undefined ? this.#current.entries : [];
    this.#current = {
      snapshot: batch.snapshot ?? snapshot,
      entries: [...old.filter(({ index }) => index < first), ...batch.entries],
      hardState: batch.hardState ?? hardState,
    };
    if (sync) this.#durable = this.#current;
  }

  saveSnapshot(snapshot: Snapshot): void {
    this.#current = { ...this.#current, snapshot };
    this.#durable = this.#current;
  }

  discard(upTo: number): void {
    const entries = this.#current.entries.filter(({ index }) => index > upTo);
    this.#current = { ...this.#current, entries };
  }

  crash(): void {
    this.#current = this.#durable;
  }

  /** What a start finds: entries after the snapshot, or those that were kept before it as well. */
  load(): Batch {
    const { snapshot, entries, hardState } = this.#current;
    const after = snapshot?.metadata.index ?? 0;
    return { snapshot, hardState, entries: entries.filter(({ index }) => index > after) };
  }
}

/** The text of bytes, and back. */
export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
export const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

/** A list of commands as the replicated state. */
export class TestMachine {
  commands: string[] = [];

  apply(entry: Entry): void {
    this.commands.push(text(entry.data));
  }

  state(): Uint8Array {
    return bytes(JSON.stringify(this.commands));
  }

  restore(snapshot: Snapshot): void {
    this.commands = JSON.parse(text(snapshot.data)) as string[];
  }
}

/** One member across its lives. */
export class TestMember {
  readonly id: number;
  readonly disk = new TestDisk();
  machine = new TestMachine();
  host: Host | undefined;
  readonly reads: string[] = [];

  constructor(id: number) {
    this.id = id;
  }
}

/** Starts a host of one of the two kinds. */
export type StartHost = (
  member: TestMember,
  voters: readonly number[],
  send: (message: Message) => void,
) => Promise<Host>;

/** Members with example hosts and a network that delivers in the next turn of the event loop. */
export class RawCluster {
  readonly members = new Map<number, TestMember>();
  readonly #start: StartHost;

  constructor(start: StartHost) {
    this.#start = start;
  }

  async boot(id: number, voters: readonly number[]): Promise<TestMember> {
    const member = this.members.get(id) ?? new TestMember(id);
    this.members.set(id, member);
    member.machine = new TestMachine();
    const host = await this.#start(member, voters, (message) => {
      if (member.host === host || member.host === undefined) this.#deliver(member, message);
    });
    member.host = host;
    return member;
  }

  #deliver(from: TestMember, message: Message): void {
    setImmediate(() => {
      const to = this.members.get(message.to)?.host;
      to?.receive(message);
      if (message.type !== 'MsgSnap') return;
      from.host?.node.reportSnapshot(message.to, to === undefined ? 'failure' : 'finish');
    });
  }

  /** What a loss of power does to a member. */
  kill(id: number): void {
    const member = this.members.get(id)!;
    member.host = undefined;
    member.disk.crash();
  }

  /** Lets ticks and turns of the event loop pass until something holds. */
  async until(what: string, holds: () => boolean): Promise<void> {
    for (let turn = 0; !holds(); turn++) {
      if (turn > 20_000) throw new Error(`it never happened: ${what}`);
      if (turn % 5 === 0) for (const { host } of this.members.values()) host?.tick();
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
  }

  async leader(): Promise<TestMember> {
    const find = (): TestMember | undefined => {
      const up = [...this.members.values()].filter(({ host }) => host !== undefined);
      const states = up.map(({ host }) => host!.node.basicStatus());
      const term = Math.max(...states.map((state) => state.term));
      return up.find((_, i) => states[i]!.raftState === 'StateLeader' && states[i]!.term === term);
    };
    await this.until('a leader', () => find() !== undefined);
    return find()!;
  }

  /** Proposes through the leader until every member that is up has applied it. */
  async write(command: string): Promise<void> {
    const leader = await this.leader();
    leader.host!.propose(bytes(command));
    const up = [...this.members.values()].filter(({ host }) => host !== undefined);
    await this.until(`${command} is applied`, () =>
      up.every(({ machine }) => machine.commands.includes(command)),
    );
  }
}
