import { ConclaveError, delay } from '@conclave/kernel';
import type { Clock, Logger, Random, Timers } from '@conclave/kernel';
import type { Command, CommandBody, State } from '@conclave/state';
import type { SnapshotStore } from '@conclave/store';
import type { IdentitySource } from '@conclave/transport';
import type { SessionsRequest, SessionsRequestInput } from '@conclave/wire';
import type { LogStore, NodeLimits } from 'raft-ts/node';
import type { StatusSource } from '../control/status-source.js';
import type { KnownManager } from '../identity/authority.js';
import type { RingHolder } from '../keys/ring-rotation.js';
import { Leadership } from '../leadership.js';
import { Peers } from '../peers.js';
import { RoleChanges } from '../role-changes.js';
import { BeatSender } from './beat-sender.js';
import { Proposer } from './proposer.js';
import { RaftHost } from './raft-host.js';
import type { ProposedResult } from './raft-host.js';
import { RaftLinks } from './raft-links.js';
import { RAFT_PROTOCOL } from './raft-service.js';
import { RemoteProposals } from './remote-proposals.js';
import { ReplicatedState } from './replicated-state.js';
import type { StateEvent } from './replicated-state.js';
import { StateComparison } from './state-comparison.js';
import type { StateMark } from './state-marks.js';
import { WriteMarks } from './write-marks.js';
import type { WriteCounters } from './write-marks.js';
import { raftStatus } from './status.js';

/** What this manager's part in consensus is made of. */
export interface ConsensusOptions {
  readonly clusterId: string;
  readonly nodeId: string;
  readonly raftId: number;
  /** The first entry of a new cluster, only on its founder and only the first time. */
  readonly founding?: Extract<CommandBody, { kind: 'cluster.create' }>;
  readonly identity: IdentitySource;
  readonly keys: RingHolder;
  readonly log: LogStore & WriteCounters;
  readonly snapshots: SnapshotStore;
  /** Managers that the join answer named; needed until the state has arrived. */
  readonly known: readonly KnownManager[];
  /** Refuses new writes for a while, for example because the disk is nearly full. */
  readonly checkRoom: () => void;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly schedule: (run: () => void) => void;
  readonly limits?: Partial<NodeLimits>;
}

/** Milliseconds that taking a member out may take. */
const REMOVAL_MS_MAX = 15_000;
const LOOK_MS = 50;
/** Milliseconds that a change of a role may take before a person should look. */
const ROLE_CHANGE_MS_MAX: number = 3 * 60_000;

/** This manager's part in consensus: the replicated state, and every way to change it. */
export class Consensus {
  readonly replicated: ReplicatedState;
  readonly peers: Peers;
  readonly proposer: Proposer;
  /** How often the log of each manager was synced. */
  readonly marks: WriteMarks;
  readonly status: StatusSource;
  /** Fires when this manager stops. */
  readonly ended: AbortSignal;
  readonly #options: ConsensusOptions;
  readonly #links: RaftLinks;
  readonly #leadership: Leadership;
  readonly #beats: BeatSender;
  readonly #remote: RemoteProposals;
  readonly #comparison: StateComparison;
  readonly #end = new AbortController();
  readonly #unlisten: () => void;
  #host: RaftHost | undefined;

  constructor(options: ConsensusOptions) {
    this.#options = options;
    this.ended = this.#end.signal;
    const { clock, nodeId } = options;
    this.replicated = new ReplicatedState(options);
    this.peers = new Peers({ ...options, selfNodeId: nodeId, state: () => this.state });
    this.marks = new WriteMarks(options.raftId, () => this.#loadedLog(), options.logger);
    // Nothing is sent or voted any more; whoever waits for `fatal` ends the process.
    void this.marks.rolledBack.then(() => this.stop());
    this.#comparison = new StateComparison({
      ...options,
      marks: this.replicated.marks,
      state: () => this.state,
      peers: this.peers,
      isLeader: () => this.isLeader,
    });
    void this.#comparison.diverged.then(() => this.stop());
    this.#links = this.#createLinks();
    this.#leadership = new Leadership({
      ...options,
      isStrangerTo: (raftId) => this.#links.failureTo(raftId)?.code === 'CV_UNAUTHENTICATED',
    });
    const roleChanges = new RoleChanges(clock);
    this.#unlisten = this.replicated.listen((event) => {
      if (mayRemoveManagers(event)) this.#forgetRemoved();
      roleChanges.follow(event, this.state);
    });
    this.#beats = new BeatSender({
      awaitLeader: () => this.host.awaitLeader(this.ended),
      isLeader: () => this.isLeader,
      receive: ({ opened = [], alive = [], closed = [] }) =>
        this.receiveBeat(nodeId, { opened, alive, closed } as SessionsRequest),
      channelOf: (raftId) => this.peers.byRaftId(raftId),
    });
    this.#remote = new RemoteProposals({
      channelOf: (raftId) => this.peers.byRaftId(raftId),
      schedule: options.schedule,
      timers: options.timers,
    });
    this.proposer = new Proposer(
      {
        isLeader: () => this.host.isLeader,
        propose: (command, signal) => this.propose(command, signal),
        awaitLeader: (signal) => this.host.awaitLeader(signal),
        awaitApplied: (index) => this.host.awaitApplied(index),
        pause: async (ms) => void (await delay(options.timers, ms, this.ended)),
      },
      (leader, command, signal) => this.#remote.propose(leader, command, signal),
      clock,
    );
    this.status = {
      current: () => ({
        ...raftStatus(this.host, nodeId, this.#links),
        diverged: this.#comparison.others,
        stuck: roleChanges.longerThan(ROLE_CHANGE_MS_MAX),
      }),
    };
  }

  /** Loads what is stored, replays it and takes part; a founder also makes the cluster. */
  async start(): Promise<void> {
    const { founding, raftId } = this.#options;
    this.#host = await RaftHost.start({
      ...this.#options,
      raftId,
      isFounder: founding !== undefined,
      replicated: this.replicated,
      transport: this.#links,
      onRole: ({ leader }) => {
        this.#beats.follow(leader);
        this.#remote.follow(leader);
        if (leader !== 0) this.#comparison.wake();
        if (this.#host !== undefined) this.#leadership.follow(this.#host);
      },
    });
    this.#comparison.start();
    if (founding === undefined) return;
    this.#host.campaign();
    await this.proposer.commit({ kind: 'system', id: 'founder' }, founding);
  }

  /** @throws CV_NO_LEADER while this manager starts */
  get host(): RaftHost {
    if (this.#host !== undefined) return this.#host;
    throw new ConclaveError('CV_NO_LEADER', 'this manager is starting', { retryAfterMs: 200 });
  }

  /**
   * Resolves when this manager must not take part any more: its disk failed, or is an old copy, or
   * its state is another than that of the other managers.
   */
  get fatal(): Promise<Error> {
    return Promise.race([this.host.fatal, this.marks.rolledBack, this.#comparison.diverged]);
  }

  /**
   * Waits until a leader has confirmed what was committed before the call, and that it has the same
   * state as this manager.
   * @throws CV_NO_LEADER when nobody can confirm that in time
   * @throws CV_STATE_DIVERGED when the leader's is another one
   */
  async confirm(): Promise<void> {
    await this.host.readIndex();
    await this.#comparison.confirm(this.host.leaderRaftId);
  }

  /** See {@link RaftHost.confirmed}; state never goes back behind it in this life. */
  get confirmed(): Promise<boolean> {
    return this.host.confirmed;
  }

  /** The host, when it has started: for messages that may be lost. */
  get startedHost(): RaftHost | undefined {
    return this.#host;
  }

  get state(): State {
    return this.replicated.state;
  }

  get isLeader(): boolean {
    return this.#host?.isLeader ?? false;
  }

  /** Puts a command into the log as the leader. @throws CV_NOT_LEADER, CV_DISK_FULL, ... */
  propose(command: Command, signal?: AbortSignal): Promise<ProposedResult> {
    // The bounded part of the disk is kept for what the cluster itself has to write.
    if (command.by.kind === 'admin') this.#options.checkRoom();
    return this.host.propose(command, signal);
  }

  /** Tells the leader which sessions live here; answers those that are not valid any more. */
  beat(sessions: SessionsRequestInput): Promise<{ readonly invalid: readonly string[] }> {
    return this.#beats.send(sessions);
  }

  /** Takes such a list as the leader. @throws CV_NOT_LEADER */
  async receiveBeat(managerId: string, sessions: SessionsRequest): Promise<readonly string[]> {
    return this.#leadership.duties.beat(managerId, sessions);
  }

  /** Compares the state of another manager with that of this one, and answers the latter. */
  compare(managerId: string, theirs: StateMark): StateMark {
    return this.#comparison.answer(managerId, theirs);
  }

  /** Raft id of a manager by its node id, from state or, before there is one, from the join. */
  raftIdOf(nodeId: string): number | undefined {
    const known = this.state.nodeById(nodeId)?.manager?.raftId;
    if (known !== undefined || this.state.cluster() !== undefined) return known;
    return this.#options.known.find((one) => one.nodeId === nodeId)?.raftId;
  }

  /**
   * Takes a manager out of the quorum; resolves when the configuration has let go of it.
   * @throws CV_LAST_MANAGER when too few of the others can be reached to go on without it
   * @throws CV_DEADLINE when that takes too long; it goes on by itself
   */
  async removeMember(nodeId: string): Promise<void> {
    const raftId = this.state.nodeById(nodeId)?.manager?.raftId;
    if (raftId === undefined) return;
    await this.proposer.commit(
      { kind: 'node', id: this.#options.nodeId },
      { kind: 'node.membership', id: nodeId, membership: 'removing', ringGeneration: undefined },
      { signal: this.ended },
    );
    await this.#awaitOut(() => !this.#isMember(nodeId, raftId) || this.#isOutItself(nodeId));
  }

  /**
   * Resolves when a manager that is being demoted is a worker; the demoted one itself does not hear
   * of it, and is told by the others.
   * @throws CV_DEADLINE when that takes too long; it goes on by itself
   */
  async awaitDemotion(nodeId: string): Promise<void> {
    if (nodeId === this.#options.nodeId) return;
    await this.#awaitOut(() => this.state.nodeById(nodeId)?.role !== 'manager');
  }

  async #awaitOut(isOut: () => boolean): Promise<void> {
    const end = this.#options.clock.monotonic() + REMOVAL_MS_MAX;
    while (!isOut()) {
      if (this.#options.clock.monotonic() > end) {
        throw new ConclaveError('CV_DEADLINE', 'the manager is still part of the quorum', {
          hint: 'That goes on by itself; look at `conclave node ls`.',
        });
      }
      await delay(this.#options.timers, LOOK_MS);
    }
  }

  /** Nobody replicates to a member that is out, so the last it hears may be its own request. */
  #isOutItself(nodeId: string): boolean {
    return nodeId === this.#options.nodeId && this.isRefused;
  }

  /** True when the other managers refuse this one: it was removed from the cluster. */
  get isRefused(): boolean {
    return this.#links.isRefused;
  }

  /** Hands leadership over when this manager has it, so that a stop interrupts nobody. */
  async handOver(): Promise<void> {
    if (this.isLeader && !this.ended.aborted) await this.host.transferLeadership();
  }

  /** Ends taking part; idempotent. */
  async stop(): Promise<void> {
    if (this.ended.aborted) return;
    this.#end.abort();
    this.#unlisten();
    this.#leadership.stop();
    this.#comparison.stop();
    await this.#host?.stop();
    this.#links.close();
    this.peers.close();
  }

  /** Nobody talks to managers that are not listed any more. */
  #forgetRemoved(): void {
    const managers = [...this.state.nodes()].filter((node) => node.manager !== undefined);
    this.#links.keepOnly(new Set(managers.map((node) => node.manager?.raftId ?? 0)));
    this.peers.keepOnly(new Set(managers.map((node) => node.id)));
  }

  #loadedLog(): WriteCounters | undefined {
    return this.#host === undefined ? undefined : this.#options.log;
  }

  #isMember(nodeId: string, raftId: number): boolean {
    if (this.state.nodeById(nodeId) === undefined) return false;
    const { voters, votersOutgoing, learners } = this.host.confState();
    return [...voters, ...votersOutgoing, ...learners].includes(raftId);
  }

  #createLinks(): RaftLinks {
    const { clusterId } = this.#options;
    return new RaftLinks({
      ...this.#options,
      channelOf: (raftId) => this.peers.byRaftId(raftId),
      head: () => ({
        clusterId,
        protocol: RAFT_PROTOCOL,
        clusterEpoch: this.state.cluster()?.epoch ?? 0,
        marks: this.marks.current(),
      }),
      learn: (marks) => this.marks.learn(marks),
      openSnapshot: (snapshot) => this.replicated.openForSending(snapshot),
      onUnreachable: (raftId) => this.#host?.reportUnreachable(raftId),
      onSnapshotSent: (raftId, status) => this.#host?.reportSnapshot(raftId, status),
    });
  }
}

function mayRemoveManagers(event: StateEvent): boolean {
  if (event.kind === 'replaced') return true;
  return event.batch.changes.some(
    (change) =>
      change.kind === 'node' &&
      change.before?.manager !== undefined &&
      change.after?.manager === undefined,
  );
}
