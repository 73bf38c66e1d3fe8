import { join } from 'node:path';
import { ConclaveError } from '@conclave/kernel';
import { EPOCH_FILE, Manager, ManagerKeys, serveControl } from '@conclave/manager';
import type { ControlApi, Founding, KeySlots, LocalKeyHolder } from '@conclave/manager';
import { identityOf } from '@conclave/pki';
import type { SecretBytes } from '@conclave/sealed';
import { LevelStore } from '@conclave/store';
import { listenCluster, listenJoin, SERVED_BY } from '@conclave/transport';
import type { IdentitySource, Listener } from '@conclave/transport';
import { closeAll } from './close-all.js';
import { dial, holdPorts } from './dial.js';
import { DiskRoom } from './disk-room.js';
import type { MemberIdentity } from './identity-file.js';
import { rememberedManagers } from './join-cluster.js';
import { renewManager } from './manager-renewal.js';
import { MemberRecord } from './member-record.js';
import { REMOVED, WAITS } from './member.js';
import type { Farewell, Member, RoleStatus, Surroundings } from './member.js';
import { obtainWorkerRole } from './promotion.js';
import { Renewal } from './renewal.js';
import { RoleWatch } from './role-watch.js';
import { RootFollower } from './root-follower.js';
import { SlotAdmin } from './slot-admin.js';

/** What a start has opened so far, and closes again when it fails. */
interface Opened {
  keys?: ManagerKeys;
  store?: LevelStore;
  record?: MemberRecord;
  manager?: Manager;
}

/** This host as a manager: its store, its listeners and the manager between them. */
export class ManagerMember implements Member {
  readonly role = 'manager';
  readonly #around: Surroundings;
  readonly #manager: Manager;
  readonly #store: LevelStore;
  readonly #keys: ManagerKeys;
  readonly slots: SlotAdmin;
  readonly #record: MemberRecord;
  readonly #listeners: Listener[] = [];
  readonly #renewal: Renewal;
  readonly #roots: RootFollower;
  #unfollow: () => void = () => undefined;
  readonly #roleWatch: RoleWatch;

  private constructor(parts: {
    around: Surroundings;
    manager: Manager;
    store: LevelStore;
    keys: ManagerKeys;
    slots: KeySlots;
    localKeyHolder: LocalKeyHolder;
    record: MemberRecord;
  }) {
    this.#around = parts.around;
    this.#manager = parts.manager;
    this.#store = parts.store;
    this.#keys = parts.keys;
    this.slots = new SlotAdmin(parts.slots, parts.localKeyHolder, parts.around);
    this.#record = parts.record;
    this.#renewal = new Renewal({
      ...parts.around,
      certificate: () => this.#record.current.certificateDer,
      renew: (signal) =>
        renewManager({
          record: parts.record,
          own: parts.manager.ownCertificate,
          clock: parts.around.clock,
          signal,
        }),
    });
    this.#roots = new RootFollower({
      ...parts.around,
      record: parts.record,
      isCommitted: true,
      renew: () => this.#renewal.now(),
      confirm: (step) => this.#manager.confirmRoots(step),
    });
    this.#roleWatch = new RoleWatch({ ...parts.around, look: () => this.#lookAtRole() });
  }

  /**
   * Opens the stored keys and the store, starts the manager, then its listeners. A manager that
   * nobody can reach must not vote: its ports are taken before anything else happens.
   * @param founding the first entry, on the founder and the first time only
   */
  static async start(
    around: Surroundings,
    member: MemberIdentity,
    secrets: {
      /** The member's from now on. */
      readonly localKey: SecretBytes;
      readonly slots: KeySlots;
      readonly founding?: Founding['body'];
    },
  ): Promise<ManagerMember> {
    const { listenHost, clusterPort, joinPort } = around.config;
    const { localKey, slots } = secrets;
    const held = await holdPorts(listenHost, [clusterPort, joinPort]).catch((error: unknown) => {
      localKey.wipe();
      throw error;
    });
    const opened: Opened = {};
    try {
      const { keys, store } = await openStored(around, { member, localKey }, opened);
      const privateKeyPem = keys.tlsKey.use((pem) => Uint8Array.from(pem));
      const record = new MemberRecord(around.identityFile, member, privateKeyPem);
      opened.record = record;
      const localKeyHolder = holderOf(keys, store);
      const manager = await startManager(around, member, {
        keys,
        slots,
        localKeyHolder,
        store,
        identity: record.identity,
        founding: secrets.founding,
      });
      opened.manager = manager;
      const self = new ManagerMember({
        around,
        manager,
        store,
        keys,
        slots,
        localKeyHolder,
        record,
      });
      await held.close();
      await self.#listen();
      self.#renewal.start();
      self.#roots.start();
      self.#unfollow = manager.followCluster(({ certificateLifeMs, roots }) => {
        self.#roots.follow(roots);
        self.#renewal.grant(certificateLifeMs);
      });
      self.#roleWatch.start();
      return self;
    } catch (error) {
      const { manager, store, keys, record } = opened;
      await closeAll(
        () => manager?.stop(),
        () => store?.close(),
        () => record?.wipe(),
        () => keys?.wipe(),
        () => localKey.wipe(),
      ).catch((failure: unknown) => around.logger.warn('daemon.close-failed', { error: failure }));
      throw error;
    } finally {
      await held.close();
    }
  }

  get fatal(): Promise<Error> {
    return this.#manager.fatal;
  }

  get control(): ControlApi {
    return this.#manager.control;
  }

  status(): RoleStatus {
    return {
      certificateNotAfterMs: identityOf(this.#record.current.certificateDer).notAfterMs,
      message: this.#message(),
      connectedManager: '',
      runningTasks: 0,
      heldVersions: 0,
      medium: '',
    };
  }

  #message(): string {
    if (this.#manager.isLeader) return 'leads the managers';
    if (this.#manager.isRefused) return REMOVED;
    if (this.#manager.leaderNodeId !== '') return 'follows the leader';
    return this.#manager.ownRole.isWaiting ? WAITS : 'knows no leader';
  }

  membership(): string {
    return this.#manager.membership;
  }

  async leave(force: boolean): Promise<Farewell> {
    if (this.#manager.isRefused) {
      if (force) return 'told';
      throw new ConclaveError('CV_UNAUTHENTICATED', 'this host was removed from the cluster', {
        hint: 'Clean up what is left of it with: conclave leave --force.',
      });
    }
    const { nodeId } = this.#record.current;
    const { state } = this.#manager;
    if (state.nodeById(nodeId)?.manager === undefined) {
      // Tables from before this manager say nothing of who else there is.
      if (force) return 'untold';
      throw this.#manager.ownRole.isWaiting ? notApproved() : notCaughtUp();
    }
    const managers = [...state.nodes()].filter((node) => node.manager !== undefined);
    if (managers.length <= 1) {
      if (force) return 'told';
      throw new ConclaveError('CV_LAST_MANAGER', 'this is the last manager: its secrets would go', {
        hint: 'Add another manager first, or destroy the cluster with: conclave leave --force.',
      });
    }
    await this.#manager.handOver();
    try {
      await this.#manager.removeMember(nodeId);
      return 'told';
    } catch (error) {
      if (!force) throw error;
      return 'untold';
    }
  }

  retire(): Promise<void> {
    return this.stop();
  }

  async stop(): Promise<void> {
    this.#roleWatch.stop();
    await closeAll(
      () => this.#unfollow(),
      () => this.#roots.stop(),
      () => this.#renewal.stop(),
      () => this.#manager.handOver(),
      () => Promise.all(this.#listeners.map((listener) => listener.close())),
      () => this.#manager.stop(),
      () => this.#store.close(),
      () => this.#record.wipe(),
      () => this.#keys.wipe(),
    );
  }

  async #lookAtRole(): Promise<void> {
    if (this.#manager.isLeader || !(await this.#manager.ownRole.isDemoted())) return;
    await this.#around.changeRole(this, async () => {
      const joined = await obtainWorkerRole(this.#around, this.#record.current, (request) =>
        this.#manager.ownRole.requestCertificate(request),
      );
      return { ...joined, identity: { ...joined.identity, managers: this.#otherManagers() } };
    });
  }

  /** Whom a worker on this host turns to. */
  #otherManagers(): MemberIdentity['managers'] {
    const { ownRole, state } = this.#manager;
    if (ownRole.managers.length > 0) return rememberedManagers(ownRole.managers);
    if (state.cluster() === undefined) return this.#record.current.managers;
    return [...state.nodes()].flatMap(({ id: nodeId, manager }) =>
      manager === undefined || nodeId === this.#record.current.nodeId
        ? []
        : [
            {
              nodeId,
              raftId: 0,
              address: manager.clusterAddress,
              joinAddress: manager.joinAddress,
              signingPublicKey: manager.signingPublicKey,
            },
          ],
    );
  }

  async #listen(): Promise<void> {
    const { config, clock, timers, logger } = this.#around;
    const { clusterId, nodeId } = this.#record.current;
    const shared = {
      host: config.listenHost,
      identity: this.#record.identity,
      clock,
      timers,
      logger,
    };
    const control = serveControl({
      api: () => this.#manager.control,
      // Who calls over the network is on none of the nodes.
      selfNodeId: () => '',
      onAnswer: (call) => call.setTrailer(SERVED_BY, this.#manager.leaderNodeId || nodeId),
    });
    try {
      const cluster = await listenCluster({
        ...shared,
        port: config.clusterPort,
        clusterId,
        authority: this.#manager.authority,
        services: [...this.#manager.clusterServices, ...control],
      });
      this.#listeners.push(cluster);
      const join = await listenJoin({
        ...shared,
        port: config.joinPort,
        services: this.#manager.joinServices,
      });
      this.#listeners.push(join);
    } catch (error) {
      await Promise.all(this.#listeners.map((listener) => listener.close()));
      throw error;
    }
  }
}

function notCaughtUp(): ConclaveError {
  return new ConclaveError('CV_STATE_STALE', 'this manager has not caught up with the others yet', {
    hint:
      'Repeat it when `conclave status` names a leader. Or give this host up with: conclave leave ' +
      '--force, and remove it on another manager with: conclave node rm --force.',
  });
}

function notApproved(): ConclaveError {
  return new ConclaveError('CV_APPROVAL_PENDING', 'nobody has approved this host yet', {
    hint: 'Turn it away with `conclave node rm` on a manager, then: conclave leave --force.',
  });
}

/** Keys and store as they lie on this host's disk; what was opened is noted in `opened`. */
async function openStored(
  { folder, random }: Surroundings,
  { member, localKey }: { readonly member: MemberIdentity; readonly localKey: SecretBytes },
  opened: Opened,
): Promise<{ readonly keys: ManagerKeys; readonly store: LevelStore }> {
  const { clusterId, nodeId } = member;
  const keys = await ManagerKeys.open(folder, { clusterId, nodeId }, localKey, random);
  opened.keys = keys;
  const store = await LevelStore.open({
    directory: join(folder.path, 'raft'),
    clusterId,
    nodeId,
    key: localKey,
    witnessKey: keys.witnessKey,
    epochFile: {
      read: () => folder.read(EPOCH_FILE),
      write: (content) => folder.write(EPOCH_FILE, content),
    },
    random,
  });
  opened.store = store;
  return { keys, store };
}

/** The local key of an open manager: the keys of its log are sealed under it too. */
function holderOf(keys: ManagerKeys, store: LevelStore): LocalKeyHolder {
  return {
    get localKey() {
      return keys.localKey;
    },
    renew: (commit) =>
      keys.renewLocalKey({ commit, reseal: (fresh, steps) => store.resealEpochs(fresh, steps) }),
  };
}

function startManager(
  { config, folder, clock, timers, random, logger, version }: Surroundings,
  { clusterId, nodeId, raftId, managers }: MemberIdentity,
  parts: {
    readonly keys: ManagerKeys;
    readonly slots: KeySlots;
    readonly localKeyHolder: LocalKeyHolder;
    readonly store: LevelStore;
    readonly identity: IdentitySource;
    readonly founding: Founding['body'] | undefined;
  },
): Promise<Manager> {
  const { keys, slots, localKeyHolder, store, identity, founding } = parts;
  const room = new DiskRoom(folder.path, clock);
  return Manager.start({
    clusterId,
    nodeId,
    raftId,
    ...(founding === undefined ? {} : { founding }),
    identity,
    keys,
    slots,
    localKeyHolder,
    log: store.log,
    snapshots: store.snapshots,
    known: managers,
    version,
    allowsClassical: config.deliverySealing === 'classical',
    dial,
    checkRoom: () => room.check(),
    clock,
    timers,
    random,
    logger,
    schedule: (run) => void setImmediate(run),
  });
}
