import type { BasicStatus, NetworkMessage, Ready } from '../index.js';
import type { AppendWorker } from './append-worker.js';
import type { ApplyWorker } from './apply-worker.js';
import type { MemberContext } from './context.js';
import type { LeadershipGuard } from './leadership-guard.js';
import type { Proposals } from './proposals.js';
import type { Reads } from './reads.js';
import type { Transfers } from './transfers.js';
import type { RoleChange } from './types.js';

/** The parts of a member a Ready is distributed to. */
export interface MemberParts {
  readonly append: AppendWorker;
  readonly apply: ApplyWorker;
  readonly proposals: Proposals;
  readonly reads: Reads;
  readonly transfers: Transfers;
  readonly guard: LeadershipGuard;
}

/**
 * Takes one Ready per round and distributes it.
 *
 * Nothing waits here: network messages leave at once, since everything that must be durable first
 * is attached to a storage message as a response.
 */
export class ReadyLoop {
  readonly #context: MemberContext;
  readonly #parts: MemberParts;
  #role: RoleChange = { role: 'StateFollower', leader: 0, term: 0 };

  /**
   * @param context the member
   * @param parts where work goes
   */
  constructor(context: MemberContext, parts: MemberParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** One round: the input that waited, then one Ready. */
  run(): void {
    const { raw } = this.#context;
    const { proposals, reads, transfers, guard } = this.#parts;
    guard.check();
    proposals.handOver();
    reads.handOver();
    if (!raw.hasReady()) return;
    const ready = raw.ready();
    const status = raw.basicStatus();
    proposals.observe(ready.entries, status);
    this.#dispatch(ready);
    reads.observe(ready.readStates, status);
    transfers.observe(status);
    this.#publishRole(status);
    if (raw.hasReady()) this.#context.wake();
  }

  /** Hands messages to the transport, unless this member must be silent. */
  send(messages: readonly NetworkMessage[]): void {
    const { guard } = this.#parts;
    if (guard.isMuted) guard.check();
    if (!guard.isMuted) {
      this.#context.options.transport.send(messages);
      return;
    }
    for (const { type, to } of messages) {
      if (type === 'MsgSnap') this.#context.raw.reportSnapshot(to, 'failure');
    }
  }

  #dispatch(ready: Ready): void {
    const { append, apply } = this.#parts;
    const outgoing: NetworkMessage[] = [];
    for (const message of ready.messages) {
      if (message.type === 'MsgStorageAppend') {
        if (message.snapshot !== undefined) {
          apply.snapshotAccepted(message.snapshot.metadata.index);
        }
        append.append(message, ready.mustSync);
      } else if (message.type === 'MsgStorageApply') {
        apply.apply(message);
      } else {
        outgoing.push(message as NetworkMessage);
      }
    }
    if (outgoing.length > 0) this.send(outgoing);
  }

  #publishRole({ raftState: role, lead: leader, term }: BasicStatus): void {
    const known = this.#role;
    if (known.role === role && known.leader === leader && known.term === term) return;
    const change = { role, leader, term };
    this.#role = change;
    this.#context.notify(() => this.#context.options.onRoleChange?.(change));
  }
}
