import { rootPin } from '@conclave/pki';
import { hash } from '@conclave/sealed';
import type { KeyRing } from '@conclave/sealed';
import type { Change, CommandBody, State } from '@conclave/state';
import { serve } from '@conclave/transport';
import type { Authority, ServedService } from '@conclave/transport';
import { loadWire } from '@conclave/wire';
import { Consensus } from './consensus/consensus.js';
import type { ConsensusOptions } from './consensus/consensus.js';
import { ManagersService } from './consensus/managers-service.js';
import { RaftService } from './consensus/raft-service.js';
import { clusterOf } from './control/lookups.js';
import { createControlApi } from './control-services.js';
import type { ControlApi } from './control-services.js';
import { Dispatcher } from './dispatch/dispatcher.js';
import { StateAuthority } from './identity/authority.js';
import { IdentityService } from './identity/identity-service.js';
import { Issuer } from './identity/issuer.js';
import { JoinService } from './identity/join-service.js';
import { OwnCertificate } from './identity/own-certificate.js';
import { OwnRole } from './identity/own-role.js';
import { promoteCaller } from './identity/promotion.js';
import type { LocalKeyHolder } from './keys/local-key.js';
import type { ManagerKeys } from './keys/manager-keys.js';
import { RecoveryFollower } from './keys/recovery-follower.js';
import { RingKeeper } from './keys/ring-keeper.js';
import { rootDemandOf } from './keys/root-demand.js';
import type { RootDemand } from './keys/root-demand.js';
import type { KeySlots } from './keys/slots.js';
import { ServiceLogs } from './service-logs.js';

/** Everything a manager is made of; the daemon hands it in. */
export interface ManagerOptions extends ConsensusOptions {
  readonly keys: ManagerKeys;
  readonly slots: KeySlots;
  readonly localKeyHolder: LocalKeyHolder;
  readonly version: string;
  /** Workers may open sessions under the classical algorithm; default: no. */
  readonly allowsClassical?: boolean | undefined;
  /** True when something accepts connections at the address. */
  readonly dial: (address: string, timeoutMs: number) => Promise<boolean>;
}

/** What the cluster asks of the certificate of a manager. */
export interface CertificateDemand {
  readonly roots: RootDemand;
  /** Milliseconds that one lives that is issued now. */
  readonly certificateLifeMs: number;
}

/** One manager: consensus, the control API, dispatch and identity over one replicated state. */
export class Manager {
  readonly authority: Authority;
  readonly control: ControlApi;
  /** What the cluster listener serves besides the control API. */
  readonly clusterServices: readonly ServedService[];
  readonly joinServices: readonly ServedService[];
  /** What the cluster has made of this manager, asked of the others. */
  readonly ownRole: OwnRole;
  /** The certificate that it uses itself. */
  readonly ownCertificate: OwnCertificate;
  readonly #options: ManagerOptions;
  readonly #consensus: Consensus;
  readonly #dispatcher: Dispatcher;
  readonly #issuer: Issuer;
  readonly #logs: ServiceLogs;
  readonly #recovery: RecoveryFollower;

  private constructor(options: ManagerOptions) {
    this.#options = options;
    this.#consensus = new Consensus(options);
    this.#issuer = new Issuer(options.clock, options.random);
    const { replicated } = this.#consensus;
    this.authority = new StateAuthority({ ...options, replicated });
    const { peers } = this.#consensus;
    this.ownCertificate = new OwnCertificate({
      ...options,
      state: () => this.state,
      ring: () => options.keys.requireRing(),
      issuer: this.#issuer,
      proposer: this.#consensus.proposer,
      isRefused: () => this.isRefused,
    });
    this.ownRole = new OwnRole({ ...options, peers, state: () => this.state });
    this.#dispatcher = this.#createDispatcher();
    this.#logs = new ServiceLogs({
      selfNodeId: options.nodeId,
      state: () => this.state,
      dispatcher: this.#dispatcher,
      peers: this.#consensus.peers,
    });
    this.#recovery = new RecoveryFollower({
      ...options,
      replicated,
      commit: (body) => this.#commitOwn(options.nodeId, body),
    });
    this.control = this.#createControl();
    this.clusterServices = this.#createClusterServices();
    this.joinServices = this.#createJoinServices();
  }

  /** Loads what is stored, replays it and takes part; a founder also makes the cluster. */
  static async start(options: ManagerOptions): Promise<Manager> {
    const manager = new Manager(options);
    try {
      await manager.#consensus.start();
      void manager.#followState();
    } catch (error) {
      await manager.stop();
      throw error;
    }
    return manager;
  }

  /** Resolves when this manager cannot go on, for example because its disk failed. */
  get fatal(): Promise<Error> {
    return this.#consensus.fatal;
  }

  get state(): State {
    return this.#consensus.state;
  }

  get isLeader(): boolean {
    return this.#consensus.isLeader;
  }

  /** What the record of this manager says about its part in the quorum. */
  get membership(): string {
    return this.state.nodeById(this.#options.nodeId)?.manager?.membership ?? 'joining';
  }

  /** True when the other managers refuse the certificate of this one: it was removed. */
  get isRefused(): boolean {
    return this.#consensus.isRefused;
  }

  /** Node id of the leader; empty when none is known. */
  get leaderNodeId(): string {
    const host = this.#consensus.startedHost;
    return host === undefined ? '' : (this.state.nodeByRaftId(host.leaderRaftId)?.id ?? '');
  }

  /**
   * Tells what the cluster asks of this manager's certificate: once there is confirmed state, and
   * after each change. An older one would have it trust a root again that was retired. Returns the
   * way to stop.
   */
  followCluster(listener: (demand: CertificateDemand) => void): () => void {
    const tell = (): void => {
      const roots = rootDemandOf(this.state, this.#options.nodeId);
      if (roots === undefined) return;
      const { managerLifeMs } = clusterOf(this.state).settings.certificates;
      listener({ roots, certificateLifeMs: managerLifeMs });
    };
    let isOver = false;
    let unlisten = (): void => undefined;
    void this.#consensus.confirmed.then((isConfirmed) => {
      if (!isConfirmed || isOver) return;
      tell();
      unlisten = this.#consensus.replicated.listen((event): void => {
        const isAbout = event.kind === 'replaced' || event.batch.changes.some(isClusterChange);
        if (isAbout) tell();
      });
    });
    return () => {
      isOver = true;
      unlisten();
    };
  }

  /** Says that this manager has taken a step of the roots, with the certificate that it uses. */
  confirmRoots(step: number): Promise<void> {
    const { nodeId: id } = this.#options;
    const { serial } = this.ownCertificate;
    return this.#commitOwn(id, { kind: 'node.root', id, step, serial });
  }

  /** Takes a manager out of the quorum. @throws CV_LAST_MANAGER, CV_DEADLINE */
  removeMember(nodeId: string): Promise<void> {
    return this.#consensus.removeMember(nodeId);
  }

  /** Hands leadership over when this manager has it, so that a stop interrupts nobody. */
  handOver(): Promise<void> {
    return this.#consensus.handOver();
  }

  /** Ends everything in order; idempotent. */
  async stop(): Promise<void> {
    this.#dispatcher.close();
    await this.#recovery.stop();
    await this.#consensus.stop();
  }

  #certificate(): Uint8Array {
    return this.#options.identity.current().certificatesDer[0] ?? new Uint8Array(0);
  }

  #createDispatcher(): Dispatcher {
    const { nodeId } = this.#options;
    const consensus = this.#consensus;
    return new Dispatcher({
      ...this.#options,
      selfNodeId: nodeId,
      ownSerial: () => this.ownCertificate.serial,
      replicated: consensus.replicated,
      confirm: () => consensus.confirm(),
      commit: (body) => this.#commitOwn(nodeId, body),
      beat: (sessions) => consensus.beat(sessions),
    });
  }

  #createControl(): ControlApi {
    const consensus = this.#consensus;
    return createControlApi({
      ...this.#options,
      state: () => this.state,
      onReplaced: (callback) =>
        consensus.replicated.listen(({ kind }) => {
          if (kind === 'replaced') callback();
        }),
      ring: () => this.#ring(),
      propose: async (command) => {
        const { by, request } = command;
        return (await consensus.proposer.propose(by, command, { request })).result;
      },
      readIndex: async () => void (await consensus.host.readIndex()),
      rootPin: () => rootPin(clusterOf(this.state).rootCertificate),
      removeMember: (id) => consensus.removeMember(id),
      awaitDemotion: (id) => consensus.awaitDemotion(id),
      issue: (subject) => this.#issuer.issue(clusterOf(this.state), this.#ring(), subject),
      status: consensus.status,
      logs: (request, call) => this.#logs.read(request, call),
    });
  }

  #createClusterServices(): ServedService[] {
    const { clusterId, raftId, random, logger } = this.#options;
    const consensus = this.#consensus;
    const wire = loadWire();
    const raft = new RaftService({
      clusterId,
      selfRaftId: raftId,
      clusterEpoch: () => this.state.cluster()?.epoch ?? 0,
      raftIdOf: (id) => consensus.raftIdOf(id),
      receive: (message) => consensus.startedHost?.receive(message),
      marks: consensus.marks,
      receiveSnapshot: (snapshot, chunks) => consensus.replicated.receive(snapshot, chunks),
      random,
      logger,
    });
    const managers = new ManagersService({
      ...this.#options,
      state: () => this.state,
      compare: (managerId, theirs) => consensus.compare(managerId, theirs),
      propose: (command, signal) => consensus.propose(command, signal),
      beat: (managerId, sessions) => consensus.receiveBeat(managerId, sessions),
      confirmed: () => consensus.confirmed,
      confirm: () => consensus.host.readIndex(),
      taskLogs: (request, signal) => this.#logs.local(request, signal),
    });
    return [
      serve(wire.Raft, raft),
      serve(wire.Managers, managers),
      serve(wire.Dispatcher, this.#dispatcher),
      serve(wire.Identity, this.#createIdentityService()),
    ];
  }

  #createIdentityService(): IdentityService {
    const parts = { ...this.#options, ...this.#identityParts() };
    return new IdentityService({
      ...parts,
      promote: (caller, asked) => promoteCaller(parts, caller, asked),
    });
  }

  #createJoinServices(): ServedService[] {
    const join = new JoinService({
      ...this.#options,
      ...this.#identityParts(),
      confirm: () => this.#consensus.host.readIndex(),
      serverCertificateHash: () => hash(this.#certificate()),
    });
    return [serve(loadWire().Join, join)];
  }

  #identityParts(): Omit<ConstructorParameters<typeof IdentityService>[0], 'promote'> {
    const { proposer } = this.#consensus;
    return { ...this.#options, state: () => this.state, issuer: this.#issuer, proposer };
  }

  /** Begins what gives keys up: see {@link Consensus.confirmed}. */
  async #followState(): Promise<void> {
    if (!(await this.#consensus.confirmed) || this.#consensus.ended.aborted) return;
    this.#keepRing();
    this.#recovery.start();
  }

  #keepRing(): void {
    const { peers, ended, replicated } = this.#consensus;
    const keeper = new RingKeeper({
      ...this.#options,
      ownSerial: () => this.ownCertificate.serial,
      peers,
      state: () => this.state,
      commit: (body) => this.#commitOwn(this.#options.nodeId, body),
      signal: ended,
    });
    const unlisten = replicated.listen((event) => keeper.follow(event));
    ended.addEventListener('abort', unlisten, { once: true });
    keeper.start();
  }

  /**
   * The key ring, sealing under the version that committed state has made current: a newer one may
   * be here already that other managers do not hold yet.
   */
  #ring(): KeyRing {
    const ring = this.#options.keys.requireRing();
    const keyId = this.state.cluster()?.ringKeyId;
    if (keyId !== undefined) ring.selectCurrent(keyId);
    return ring;
  }

  async #commitOwn(nodeId: string, body: CommandBody): Promise<void> {
    const { ended, proposer } = this.#consensus;
    await proposer.commit({ kind: 'node', id: nodeId }, body, { signal: ended });
  }
}

function isClusterChange({ kind }: Change): boolean {
  return kind === 'cluster';
}
