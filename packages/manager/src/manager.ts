import { ConclaveError, delay } from '@conclave/kernel';
import type { Clock, Logger, Random, Timers } from '@conclave/kernel';
import { identityOf, rootPin } from '@conclave/pki';
import { hash } from '@conclave/sealed';
import { encodeCommand } from '@conclave/state';
import type { Actor, Command, CommandBody, CommandResult, State } from '@conclave/state';
import { serve } from '@conclave/transport';
import type { Authority, IdentitySource, ServedService } from '@conclave/transport';
import { loadWire } from '@conclave/wire';
import type { SessionsRequestInput } from '@conclave/wire';
import type { LogStore, NodeLimits } from 'raft-ts/node';
import type { SnapshotStore } from '@conclave/store';
import { ManagersService } from './consensus/managers-service.js';
import { Proposer } from './consensus/proposer.js';
import { RaftHost } from './consensus/raft-host.js';
import type { ProposedResult } from './consensus/raft-host.js';
import { RaftLinks } from './consensus/raft-links.js';
import { RAFT_PROTOCOL, RaftService } from './consensus/raft-service.js';
import { ReplicatedState } from './consensus/replicated-state.js';
import { decodeResult } from './consensus/result-codec.js';
import { RaftStatus } from './consensus/status.js';
import { createControlApi } from './control-services.js';
import type { ControlApi } from './control-services.js';
import { Dispatcher } from './dispatch/dispatcher.js';
import { Lease } from './dispatch/lease.js';
import { StateAuthority } from './identity/authority.js';
import type { KnownManager } from './identity/authority.js';
import { IdentityService } from './identity/identity-service.js';
import { Issuer } from './identity/issuer.js';
import type { IssuedCertificate } from './identity/issuer.js';
import { JoinService } from './identity/join-service.js';
import type { ManagerKeys } from './keys/manager-keys.js';
import { LeaderDuties } from './leader-duties.js';
import { Peers } from './peers.js';
import { receiveRing } from './ring-receipt.js';
import { ServiceLogs } from './service-logs.js';

/** Everything a manager is made of; the daemon hands it in. */
export interface ManagerOptions {
  readonly clusterId: string;
  readonly nodeId: string;
  readonly raftId: number;
  /** The first entry of a new cluster, only on its founder and only the first time. */
  readonly founding?: Extract<CommandBody, { kind: 'cluster.create' }>;
  readonly identity: IdentitySource;
  readonly keys: ManagerKeys;
  readonly log: LogStore;
  readonly snapshots: SnapshotStore;
  /** Managers that the join answer named; needed until the state has arrived. */
  readonly known: readonly KnownManager[];
  readonly version: string;
  /** True when something accepts connections at the address. */
  readonly dial: (address: string, timeoutMs: number) => Promise<boolean>;
  /** Refuses new writes for a while, for example because the disk is nearly full. */
  readonly checkRoom: () => void;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly schedule: (run: () => void) => void;
  readonly limits?: Partial<NodeLimits>;
  readonly timeScale?: number;
}

/** Milliseconds that taking a member out may take. */
const REMOVAL_MS_MAX = 15_000;
const LOOK_MS = 50;
const SYSTEM = 'scheduler';
/** Milliseconds for one call to the leader. */
const LEADER_CALL_MS = 10_000;

/** One manager: consensus, the control API, dispatch and identity over one replicated state. */
export class Manager {
  readonly authority: Authority;
  readonly control: ControlApi;
  /** What the cluster listener serves besides the control API. */
  readonly clusterServices: readonly ServedService[];
  readonly joinServices: readonly ServedService[];
  readonly #options: ManagerOptions;
  readonly #replicated: ReplicatedState;
  readonly #peers: Peers;
  readonly #links: RaftLinks;
  readonly #proposer: Proposer;
  readonly #dispatcher: Dispatcher;
  readonly #issuer: Issuer;
  readonly #end = new AbortController();
  #host: RaftHost | undefined;
  #duties: LeaderDuties | undefined;

  private constructor(options: ManagerOptions) {
    this.#options = options;
    const { clock, timers, random, logger, keys, nodeId, clusterId } = options;
    this.#replicated = new ReplicatedState({ snapshots: options.snapshots, random, logger });
    const state = (): State => this.#replicated.state;
    this.#peers = new Peers({ ...options, selfNodeId: nodeId, state });
    this.#links = this.#createLinks();
    this.#issuer = new Issuer(clock, random);
    this.#proposer = new Proposer(
      {
        isLeader: () => this.#running.isLeader,
        propose: (command, signal) => this.#propose(command, signal),
        awaitLeader: (signal) => this.#running.awaitLeader(signal),
        awaitApplied: (index) => this.#running.awaitApplied(index),
      },
      (leader, command, signal) => this.#proposeRemotely(leader, command, signal),
      clock,
    );
    this.authority = new StateAuthority(this.#replicated, clock, options.known);
    this.#dispatcher = new Dispatcher({
      selfNodeId: nodeId,
      ownSerial: () => identityOf(this.#certificate()).serial,
      replicated: this.#replicated,
      keys,
      readIndex: () => this.#running.readIndex(),
      commit: (body) => this.#commitAs({ kind: 'node', id: nodeId }, body),
      beat: (sessions) => this.#beat(sessions),
      clock,
      timers,
      random,
      logger,
    });
    const logs = new ServiceLogs({
      selfNodeId: nodeId,
      state,
      dispatcher: this.#dispatcher,
      peers: this.#peers,
    });
    this.control = createControlApi({
      state,
      ring: () => keys.requireRing(),
      propose: async (command) =>
        (await this.#proposer.propose(command.by, command, { request: command.request })).result,
      readIndex: async () => void (await this.#running.readIndex()),
      rootPin: () => rootPin(this.#root()),
      removeMember: (id) => this.removeMember(id),
      status: { current: () => this.#status().current() },
      logs: (request, call) => logs.read(request, call),
      clock,
      random,
      logger,
      version: options.version,
    });
    const wire = loadWire();
    const shared = { state, keys, issuer: this.#issuer, proposer: this.#proposer, clock, logger };
    this.clusterServices = [
      serve(
        wire.Raft,
        new RaftService({
          clusterId,
          selfRaftId: options.raftId,
          raftIdOf: (id) => this.#raftIdOf(id),
          receive: (message) => this.#host?.receive(message),
          receiveSnapshot: (snapshot, chunks) => this.#replicated.receive(snapshot, chunks),
          logger,
        }),
      ),
      serve(
        wire.Managers,
        new ManagersService({
          state,
          keys,
          propose: (command, signal) => this.#propose(command, signal),
          beat: (managerId, sessions) => this.#leaderDuties().beat(managerId, sessions),
          taskLogs: (request) => logs.local(request),
          clock,
          random,
        }),
      ),
      serve(wire.Dispatcher, this.#dispatcher),
      serve(wire.Identity, new IdentityService(shared)),
    ];
    this.joinServices = [
      serve(
        wire.Join,
        new JoinService({
          ...shared,
          random,
          dial: options.dial,
          serverCertificateHash: () => hash(this.#certificate()),
        }),
      ),
    ];
  }

  /** Loads what is stored, replays it and takes part; a founder also makes the cluster. */
  static async start(options: ManagerOptions): Promise<Manager> {
    const manager = new Manager(options);
    try {
      manager.#host = await RaftHost.start({
        raftId: options.raftId,
        isFounder: options.founding !== undefined,
        log: options.log,
        replicated: manager.#replicated,
        transport: manager.#links,
        clock: options.clock,
        timers: options.timers,
        random: options.random,
        logger: options.logger,
        schedule: options.schedule,
        onRole: () => manager.#onRole(),
        ...(options.limits === undefined ? {} : { limits: options.limits }),
        ...(options.timeScale === undefined ? {} : { timeScale: options.timeScale }),
      });
      if (options.founding !== undefined) await manager.#found(options.founding);
      else if (options.keys.ring === undefined) manager.#awaitRing();
    } catch (error) {
      await manager.stop();
      throw error;
    }
    return manager;
  }

  /** Resolves when this manager cannot go on, for example because its disk failed. */
  get fatal(): Promise<Error> {
    return this.#running.fatal;
  }

  get state(): State {
    return this.#replicated.state;
  }

  get isLeader(): boolean {
    return this.#host?.isLeader ?? false;
  }

  /** What the record of this manager says about its part in the quorum. */
  get membership(): string {
    return this.state.nodeById(this.#options.nodeId)?.manager?.membership ?? 'joining';
  }

  /** Node id of the leader; empty when none is known. */
  get leaderNodeId(): string {
    return this.#host === undefined ? '' : this.#status().current().leaderId;
  }

  /** A new certificate for this manager's own key, recorded in the log. */
  async renewCertificate(spkiDer: Uint8Array, overlapMs: number): Promise<IssuedCertificate> {
    const { nodeId, keys, clock } = this.#options;
    const cluster = this.state.cluster();
    if (cluster === undefined) throw new ConclaveError('CV_STATE_STALE', 'there is no state yet');
    const issued = await this.#issuer.issue(cluster, keys.requireRing(), {
      nodeId,
      role: 'manager',
      spkiDer,
    });
    await this.#commitAs(
      { kind: 'node', id: nodeId },
      {
        kind: 'node.renew',
        id: nodeId,
        certificate: issued.row,
        previousUntilMs: clock.now() + overlapMs,
      },
    );
    return issued;
  }

  /**
   * Takes a manager out of the quorum; resolves when the configuration has let go of it.
   * @throws CV_LAST_MANAGER when too few of the others can be reached to go on without it
   */
  async removeMember(nodeId: string): Promise<void> {
    const node = this.state.nodeById(nodeId);
    if (node?.manager === undefined) return;
    this.#checkQuorumWithout(nodeId);
    await this.#commitAs(
      { kind: 'node', id: this.#options.nodeId },
      { kind: 'node.membership', id: nodeId, membership: 'removing', ringGeneration: undefined },
    );
    const { raftId } = node.manager;
    const end = this.#options.clock.monotonic() + REMOVAL_MS_MAX;
    for (;;) {
      if (this.state.nodeById(nodeId) === undefined) return;
      const { voters, votersOutgoing, learners } = this.#running.confState();
      if (![...voters, ...votersOutgoing, ...learners].includes(raftId)) return;
      if (this.#options.clock.monotonic() > end) {
        throw new ConclaveError('CV_DEADLINE', 'the manager is still part of the quorum', {
          hint: 'The removal goes on by itself; look at `conclave node ls`.',
        });
      }
      await delay(this.#options.timers, LOOK_MS);
    }
  }

  /** Hands leadership over when this manager has it, so that a stop interrupts nobody. */
  async handOver(): Promise<void> {
    if (this.isLeader) await this.#running.transferLeadership();
  }

  /** Ends everything in order; idempotent. */
  async stop(): Promise<void> {
    if (this.#end.signal.aborted) return;
    this.#end.abort();
    this.#duties?.stop();
    this.#duties = undefined;
    this.#dispatcher.close();
    await this.#host?.stop();
    this.#links.close();
    this.#peers.close();
  }

  get #running(): RaftHost {
    if (this.#host !== undefined) return this.#host;
    throw new ConclaveError('CV_NO_LEADER', 'this manager is starting', { retryAfterMs: 200 });
  }

  #createLinks(): RaftLinks {
    const { clusterId, timers, random, logger } = this.#options;
    return new RaftLinks({
      channelOf: (raftId) => this.#peers.byRaftId(raftId),
      head: () => ({
        clusterId,
        protocol: RAFT_PROTOCOL,
        clusterEpoch: this.state.cluster()?.epoch ?? 0,
      }),
      openSnapshot: (snapshot) => this.#replicated.openForSending(snapshot),
      onUnreachable: (raftId) => this.#host?.reportUnreachable(raftId),
      onSnapshotSent: (raftId, status) => this.#host?.reportSnapshot(raftId, status),
      timers,
      random,
      logger,
    });
  }

  #certificate(): Uint8Array {
    return this.#options.identity.current().certificatesDer[0] ?? new Uint8Array(0);
  }

  #root(): Uint8Array {
    return this.#options.identity.current().rootsDer[0] ?? new Uint8Array(0);
  }

  #status(): RaftStatus {
    const lease = new Lease(this.#options.clock, () => this.#running.readIndex());
    return new RaftStatus(this.#running, this.#options.nodeId, lease);
  }

  #raftIdOf(nodeId: string): number | undefined {
    const known = this.state.nodeById(nodeId)?.manager?.raftId;
    if (known !== undefined || this.state.cluster() !== undefined) return known;
    return this.#options.known.find((one) => one.nodeId === nodeId)?.raftId;
  }

  async #propose(command: Command, signal?: AbortSignal): Promise<ProposedResult> {
    // The bounded part of the disk is kept for what the cluster itself has to write.
    if (command.by.kind === 'admin') this.#options.checkRoom();
    return this.#running.propose(command, signal);
  }

  async #proposeRemotely(
    leader: number,
    command: Command,
    signal?: AbortSignal,
  ): Promise<ProposedResult> {
    const channel = this.#peers.byRaftId(leader);
    if (channel === undefined) {
      throw new ConclaveError('CV_NOT_LEADER', 'the address of the leader is not known yet');
    }
    const { result, index } = await channel.unary(
      loadWire().Managers.Propose,
      { command: encodeCommand(command) },
      { timeoutMs: LEADER_CALL_MS, signal },
    );
    return { index, result: decodeResult(result) };
  }

  async #commitAs(by: Actor, body: CommandBody): Promise<CommandResult> {
    const { result } = await this.#proposer.propose(by, body, { signal: this.#end.signal });
    return result;
  }

  async #beat(sessions: SessionsRequestInput): Promise<{ readonly invalid: readonly string[] }> {
    const leader = await this.#running.awaitLeader(this.#end.signal);
    if (this.isLeader) {
      const { opened = [], alive = [], closed = [] } = sessions;
      const whole = { opened, alive, closed } as Parameters<LeaderDuties['beat']>[1];
      return { invalid: await this.#leaderDuties().beat(this.#options.nodeId, whole) };
    }
    const channel = this.#peers.byRaftId(leader);
    if (channel === undefined) throw new ConclaveError('CV_NO_LEADER', 'the leader is not known');
    return channel.unary(loadWire().Managers.Beat, sessions, { timeoutMs: LEADER_CALL_MS });
  }

  #leaderDuties(): LeaderDuties {
    if (this.#duties !== undefined) return this.#duties;
    throw new ConclaveError('CV_NOT_LEADER', 'this manager is not the leader', {
      retryAfterMs: 200,
    });
  }

  #onRole(): void {
    if (this.#host === undefined || this.#end.signal.aborted) return;
    const leads = this.#host.isLeader;
    if (leads === (this.#duties !== undefined)) return;
    if (!leads) {
      this.#options.logger.info('leader.lost', { term: this.#host.status().term });
      this.#duties?.stop();
      this.#duties = undefined;
      return;
    }
    this.#options.logger.info('leader.won', { term: this.#host.status().term });
    void this.#takeUpDuties();
  }

  /** Waits until everything committed before is applied, so that duties start from the truth. */
  async #takeUpDuties(): Promise<void> {
    const host = this.#running;
    try {
      await host.readIndex();
    } catch {
      // Leadership went before it was confirmed, or comes again with the next role change.
    }
    const isOver = this.#end.signal.aborted || !host.isLeader || this.#duties !== undefined;
    if (isOver) return;
    const { clock, timers, random, logger } = this.#options;
    const system: Actor = { kind: 'system', id: SYSTEM };
    const propose = async (body: CommandBody): Promise<CommandResult> => {
      const command: Command = { ...body, by: system, request: undefined, atMs: clock.now() };
      return (await host.propose(command)).result;
    };
    this.#duties = new LeaderDuties({
      state: this.state,
      propose,
      membership: {
        state: () => this.state,
        confState: () => host.confState(),
        matchOf: (raftId) => host.status().progress.get(raftId)?.match,
        commitIndex: () => host.status().commit,
        proposeConfChange: (change) => host.proposeConfChange(change),
        propose,
        selfRaftId: () => host.raftId,
        transferLeadership: async () => void (await host.transferLeadership()),
      },
      clock,
      timers,
      random,
      logger,
    });
  }

  async #found(body: Extract<CommandBody, { kind: 'cluster.create' }>): Promise<void> {
    this.#running.campaign();
    await this.#proposer.commit({ kind: 'system', id: 'founder' }, body);
  }

  #awaitRing(): void {
    const { clusterId, nodeId, keys, timers, random, logger } = this.#options;
    void receiveRing({
      clusterId,
      nodeId,
      keys,
      peers: this.#peers,
      commit: (body) => this.#commitAs({ kind: 'node', id: nodeId }, body),
      timers,
      random,
      logger,
      signal: this.#end.signal,
    });
  }

  #checkQuorumWithout(nodeId: string): void {
    const voters = [...this.state.nodes()].filter(
      (node) => node.manager?.membership === 'voter' && node.id !== nodeId,
    );
    const alive = voters.filter((node) => node.state === 'READY');
    if (voters.length > 0 && alive.length > voters.length / 2) return;
    throw new ConclaveError(
      'CV_LAST_MANAGER',
      `without this manager ${alive.length} of ${voters.length} voters could be reached: no quorum`,
    );
  }
}
